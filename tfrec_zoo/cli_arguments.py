"""The flags of every `tfrec` command, one function a command; imports stay light, so that `--help` is fast."""

from __future__ import annotations

import argparse


def json(parser: argparse.ArgumentParser) -> None:
    """Adds --json."""
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is stdout")


def run(parser: argparse.ArgumentParser) -> None:
    """Adds what every command on a run takes."""
    parser.add_argument("--workdir", required=True, metavar="RUN", help="the run directory")
    parser.add_argument("--data", required=True, metavar="DATA", help="the dataset directory")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    json(parser)


def demo(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec demo`."""
    parser.add_argument("--workdir", default="demo", metavar="DIR", help="where everything goes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the log and the model (default: %(default)s)")
    json(parser)


def synth(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec synth`."""
    from tfrec_zoo.data.synthetic_world import SyntheticParameters

    default = SyntheticParameters()
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="the interactions CSV; items, users and truth go beside it"
    )
    for name, help in {
        "users": "users",
        "items": "items; more than the longest history",
        "seed": "seed of everything",
        "min-length": "events of the shortest history",
        "max-length": "events of the longest history",
    }.items():
        value = getattr(default, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{help} (default: {value})")
    parser.add_argument(
        "--domains",
        type=int,
        choices=(1, 2),
        default=1,
        help="2: also a log of a second domain with common users, shared tastes and other items (default: 1)",
    )
    json(parser)


def movielens(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec movielens`."""
    parser.add_argument("--variant", required=True, choices=("100k", "1m", "20m"), help="number of ratings")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the CSVs go")
    parser.add_argument("--source", metavar="FILE", help="the archive or its folder (default: it is downloaded)")
    parser.add_argument(
        "--domains",
        type=int,
        choices=(1, 2),
        default=1,
        help="2: also the log as two domains, halves of the genres, and the users' gender and age band (default: 1)",
    )
    json(parser)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec prepare`."""
    from beam_jobs.options import add_arguments

    add_arguments(parser)
    json(parser)


def models(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec models`."""
    parser.add_argument("--items", type=int, default=10_000, metavar="N", help="catalogue to count parameters for")
    json(parser)


def train(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec train`."""
    parser.add_argument("model", metavar="MODEL", help="name of the model; `tfrec models` lists them")
    run(parser)
    parser.add_argument(
        "--preset",
        default="fast",
        metavar="NAME",
        help="fast converges quickly (default), paper has the values of the model's paper",
    )
    parser.add_argument("--config", metavar="F.yaml", help="values over the preset")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one value over that, as in network.dim=128"
    )
    parser.add_argument("--seed", type=int, help="of every random choice (default: the configuration's, 0)")
    parser.add_argument("--refit", action="store_true", help="then train the chosen number of steps on train + valid")
    parser.add_argument(
        "--overwrite", action="store_true", help="drop the run in RUN; without it, an unfinished one goes on"
    )
    parser.add_argument(
        "--strategy",
        choices=("auto", "default", "mirrored", "multiworker", "parameter_server"),
        default="auto",
        help="auto (default): multiworker where TF_CONFIG names a cluster, parameter_server where it names servers, "
        "mirrored with several GPUs, else one device",
    )
    parser.add_argument(
        "--worker-timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="of several machines: without a sign of life for so long, another counts as gone (default: %(default)g)",
    )


def launch(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec launch`."""
    parser.add_argument("--workers", type=int, required=True, metavar="N", help="processes on this machine")
    parser.add_argument(
        "--servers",
        type=int,
        default=0,
        metavar="N",
        help="parameter servers; with any, a chief besides, and workers that die are started again (default: 0)",
    )
    parser.add_argument(
        "arguments", nargs="+", metavar="-- train ...", help="the tfrec command that each of them runs, after --"
    )


def finetune(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec finetune`."""
    parser.add_argument("model", metavar="MODEL", help="name of the pre-trained model")
    parser.add_argument("--from", required=True, dest="source", metavar="RUN", help="its run directory")
    parser.add_argument("--data", required=True, metavar="DATA", help="dataset with the view transfer or profiles")
    parser.add_argument("--workdir", required=True, metavar="RUN2", help="the new run directory")
    parser.add_argument(
        "--task",
        default="next_item",
        metavar="TASK",
        help="next_item of the target domain (default), or profile:LABEL, as in profile:gender",
    )
    parser.add_argument(
        "--mode",
        choices=("patches", "all", "head"),
        default="patches",
        help="what is trained: patches and head, everything, or the head alone (default: %(default)s)",
    )
    parser.add_argument(
        "--name", metavar="NAME", help="of the task and its signature (default: next_item or the label)"
    )
    parser.add_argument("--config", metavar="F.yaml", help="values of the fine-tuning")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one value over that, as in task.loss=bpr"
    )
    parser.add_argument("--seed", type=int, help="of every random choice (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="drop the run in RUN2")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    json(parser)


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec evaluate`."""
    run(parser)
    parser.add_argument(
        "--split", choices=("valid", "test"), default="test", help="part to rank (default: %(default)s)"
    )
    parser.add_argument("--filter-seen", action="store_true", help="leave the user's earlier items out of the ranking")
    parser.add_argument("--ks", type=int, nargs="+", metavar="K", help="cut-offs (default: 1 5 10 20 50)")
    parser.add_argument(
        "--sampled", metavar="LAW:N", help="rank among N drawn items (uniform:100, popularity:100), as some papers do"
    )
    parser.add_argument(
        "--diverse", action="store_true", help="also rank by parts of each history, as recommend_diverse serves"
    )
    parser.add_argument(
        "--continuations",
        metavar="N:LENGTH[:T[:P]]",
        help="also rank by N continuations of LENGTH items, of temperature T and top-p P, as generate_filtered serves",
    )
    parser.add_argument("--groups", action="store_true", help="also print metrics by history length and popularity")
    parser.add_argument("--seed", type=int, default=0, help="of intervals and drawn items (default: %(default)s)")
    parser.add_argument("--report", metavar="OUT.html", help="also write a self-contained page: curves, tables, origin")
    parser.add_argument("--no-card", action="store_true", help="leave no result card in RUN")


def compare(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec compare`."""
    parser.add_argument("runs", nargs=2, metavar="RUN", help="two run directories")
    parser.add_argument("--data", metavar="DATA", help="the dataset of both (default: the first one's result card's)")
    parser.add_argument("--split", choices=("valid", "test"), default="test", help="part (default: %(default)s)")
    parser.add_argument("--filter-seen", action="store_true", help="leave the user's earlier items out of the ranking")
    parser.add_argument(
        "--metric", default="ndcg@10", metavar="M@K", help="ndcg, hr, recall, mrr or map @K, or mrr (default: ndcg@10)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    json(parser)


def augment(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec augment`."""
    parser.add_argument("--run", required=True, metavar="RUN", help="run directory of a generator, such as seqgan")
    parser.add_argument("--data", required=True, metavar="DATA", help="the dataset directory that it was trained on")
    parser.add_argument("--output", required=True, metavar="OUT", help="the new dataset directory")
    parser.add_argument(
        "--share", type=float, default=1.0, metavar="S", help="fake histories for each real one (default: %(default)g)"
    )
    parser.add_argument("--keep-real", action="store_true", help="keep the real train records beside the fake ones")
    parser.add_argument(
        "--prefix",
        type=float,
        default=0.5,
        metavar="S",
        help="share of a real history that a fake one begins with (default: %(default)g)",
    )
    parser.add_argument(
        "--length", type=int, metavar="N", help="items to write on it (default: as many as the real history has there)"
    )
    parser.add_argument(
        "--gaps", metavar="RUN2", help="draw a share of the beginning anew with this run of peterrec or bert4rec"
    )
    parser.add_argument(
        "--gap-share", type=float, default=0.3, metavar="S", help="with --gaps: that share (default: %(default)g)"
    )
    parser.add_argument(
        "--temperature", type=float, default=1.0, metavar="T", help="of the softmax (default: %(default)g)"
    )
    parser.add_argument(
        "--top-p", type=float, default=1.0, metavar="P", help="draw from this share of the probability (default: all)"
    )
    parser.add_argument("--no-repeats", action="store_true", help="write no item twice into a fake history")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    json(parser)


def export(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec export`."""
    run(parser)
    parser.add_argument("--output", required=True, metavar="saved_models/NAME", help="folder of the model's versions")
    parser.add_argument("--version", type=int, metavar="N", help="version to publish (default: the next)")
    parser.add_argument(
        "--max-k", type=int, default=100, metavar="K", help="width of the answers (default: %(default)s)"
    )
    parser.add_argument(
        "--max-n", type=int, metavar="N", help="most continuations of a history that `generate` draws (default: 32)"
    )
    parser.add_argument("--max-length", type=int, metavar="L", help="most items of a continuation (default: 20)")
    parser.add_argument(
        "--tasks", nargs="+", default=[], metavar="RUN2", help="runs of `tfrec finetune` to serve on the same backbone"
    )
    parser.add_argument(
        "--refresh-items", metavar="DATA2", help="also serve the items that only this newer dataset has; no training"
    )


def bench(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec bench`."""
    from tfrec_zoo.benchmarks.registry import BENCHMARKS

    parser.add_argument("name", metavar="NAME", help=f"the benchmark: {', '.join(BENCHMARKS)}")
    parser.add_argument("--data", metavar="DATA", help="dataset, or log, to measure on (default: synthetic data)")
    parser.add_argument(
        "--rows", type=int, nargs="+", metavar="N", help="prepare: lengths of the logs (default: 2000000)"
    )
    parser.add_argument("--formats", nargs="+", choices=("csv", "parquet"), help="prepare: of logs (default: both)")
    parser.add_argument(
        "--quick",
        action="store_true",
        default=None,
        help="augment, ctr, transfer, seqgan-oracle: one seed, nothing tuned, little training",
    )
    parser.add_argument("--oracle", metavar="FILE.npz", help="seqgan-oracle: its weights (default: drawn)")
    parser.add_argument("--report", metavar="OUT.html", help="seqgan-oracle: also write a page with the curves")
    json(parser)
