"""The `tfrec` command: argument parsing only; every subcommand is a thin face of a library function.

Results go to stdout, progress and logs to stderr. Exit status: 0 success, 1 failure with one clear line (a traceback
only with
--debug), 2 usage. Imports stay inside the commands, so that `--help`, `query` and `serve` never wait for TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tfrec_zoo.errors import TfrecError

Command = Callable[[argparse.Namespace], int]

_EXTRAS = {
    "apache_beam": "beam",
    "pyarrow": "beam",
    "google_crc32c": "beam",
    "grpc": "serving",
    "tensorflow_serving": "serving",
}
"""Module that may be missing -> the extra that installs it."""


def main(argv: list[str] | None = None) -> int:
    """Runs one subcommand and returns its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    args = build_parser().parse_args(argv)
    args.argv = argv
    try:
        return args.command(args)
    except TfrecError as error:
        return _fail(str(error), args.debug)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        advice = f"install the extra: pip install 'tfrec-zoo[{extra}]'" if extra else "install tfrec-zoo again"
        return _fail(f"{error}; {advice}", args.debug)
    except BrokenPipeError:
        # The reader of stdout has gone, as in `tfrec models | head -1`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("tfrec: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        return _fail(f"unexpected {type(error).__name__}: {text} (--debug shows where)", args.debug)


def _fail(message: str, debug: bool) -> int:
    if debug:
        raise
    print(f"tfrec: error: {message}", file=sys.stderr)
    return 1


def build_parser() -> argparse.ArgumentParser:
    """Parser of the whole command line; the subcommand's function is `args.command`."""
    parser = argparse.ArgumentParser(
        prog="tfrec", description="A TensorFlow/Keras production model zoo for recommenders.", allow_abbrev=False
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, command: Command, help: str, arguments: Callable[[argparse.ArgumentParser], None]) -> None:
        subparser = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        arguments(subparser)
        subparser.add_argument("--debug", action="store_true", help="show a traceback when something fails")
        subparser.set_defaults(command=command)

    from serving import query as serving_query
    from serving.server import options as server_options

    add("demo", _demo, "see the whole road once, on synthetic data", _demo_arguments)
    add("synth", _synth, "write a synthetic interaction log with known structure", _synth_arguments)
    add("movielens", _movielens, "write MovieLens as standard CSVs", _movielens_arguments)
    add("prepare", _prepare, "turn a log into a dataset directory (Beam)", _prepare_arguments)
    add("models", _models, "list the zoo: paper, objective, needs, parameters", _models_arguments)
    add("train", _train, "train a model on a dataset", _train_arguments)
    add("evaluate", _evaluate, "rank held-out items over the whole catalogue, beside baselines", _evaluate_arguments)
    add("compare", _compare, "compare two runs user by user", _compare_arguments)
    add("export", _export, "write a SavedModel version, checked by the gate", _export_arguments)
    add("serve", _serve, "serve SavedModels over TensorFlow Serving's gRPC API", server_options.add_arguments)
    add("query", _query, "ask a model server for recommendations", serving_query.add_arguments)
    add("bench", _bench, "run a named benchmark and print its table", _bench_arguments)
    return parser


# Arguments


def _json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is stdout")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workdir", required=True, metavar="RUN", help="the run directory")
    parser.add_argument("--data", required=True, metavar="DATA", help="the dataset directory")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    _json_argument(parser)


def _demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workdir", default="demo", metavar="DIR", help="where everything goes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the log and the model (default: %(default)s)")
    _json_argument(parser)


def _synth_arguments(parser: argparse.ArgumentParser) -> None:
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
    _json_argument(parser)


def _movielens_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", required=True, choices=("100k", "1m", "20m"), help="number of ratings")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the CSVs go")
    parser.add_argument("--source", metavar="FILE", help="the archive or its folder (default: it is downloaded)")
    _json_argument(parser)


def _prepare_arguments(parser: argparse.ArgumentParser) -> None:
    from beam_jobs.options import add_arguments

    add_arguments(parser)
    _json_argument(parser)


def _models_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--items", type=int, default=10_000, metavar="N", help="catalogue to count parameters for")
    _json_argument(parser)


def _train_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of the model; `tfrec models` lists them")
    _run_arguments(parser)
    parser.add_argument("--config", metavar="F.yaml", help="values over the model's preset")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one value over that, as in network.dim=128"
    )
    parser.add_argument("--seed", type=int, help="of every random choice (default: the configuration's, 0)")
    parser.add_argument("--refit", action="store_true", help="then train the chosen number of steps on train + valid")
    parser.add_argument(
        "--overwrite", action="store_true", help="drop the run in RUN; without it, an unfinished one goes on"
    )


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    _run_arguments(parser)
    parser.add_argument(
        "--split", choices=("valid", "test"), default="test", help="part to rank (default: %(default)s)"
    )
    parser.add_argument("--filter-seen", action="store_true", help="leave the user's earlier items out of the ranking")
    parser.add_argument("--ks", type=int, nargs="+", metavar="K", help="cut-offs (default: 1 5 10 20 50)")
    parser.add_argument(
        "--sampled", metavar="LAW:N", help="rank among N drawn items (uniform:100, popularity:100), as some papers do"
    )
    parser.add_argument("--groups", action="store_true", help="also print metrics by history length and popularity")
    parser.add_argument("--seed", type=int, default=0, help="of intervals and drawn items (default: %(default)s)")
    parser.add_argument("--report", metavar="OUT.html", help="also write a self-contained page: curves, tables, origin")
    parser.add_argument("--no-card", action="store_true", help="leave no result card in RUN")


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs=2, metavar="RUN", help="two run directories")
    parser.add_argument("--data", metavar="DATA", help="the dataset of both (default: the first one's result card's)")
    parser.add_argument("--split", choices=("valid", "test"), default="test", help="part (default: %(default)s)")
    parser.add_argument("--filter-seen", action="store_true", help="leave the user's earlier items out of the ranking")
    parser.add_argument(
        "--metric", default="ndcg@10", metavar="M@K", help="ndcg, hr, recall, mrr or map @K, or mrr (default: ndcg@10)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    _json_argument(parser)


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    _run_arguments(parser)
    parser.add_argument("--output", required=True, metavar="saved_models/NAME", help="folder of the model's versions")
    parser.add_argument("--version", type=int, metavar="N", help="version to publish (default: the next)")
    parser.add_argument(
        "--max-k", type=int, default=100, metavar="K", help="width of the answers (default: %(default)s)"
    )


def _bench_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="the benchmark: train, evaluate")
    parser.add_argument("--data", metavar="DATA", help="dataset to measure on (default: synthetic data)")
    _json_argument(parser)


# Commands


def _demo(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.demo import demo

    _write_json(demo(args.workdir, seed=args.seed), args.json)
    return 0


def _synth(args: argparse.Namespace) -> int:
    from tfrec_zoo.data.synthetic import synthesize

    truth = synthesize(
        args.output,
        users=args.users,
        items=args.items,
        seed=args.seed,
        min_length=args.min_length,
        max_length=args.max_length,
    )
    if args.json != "-":
        print(truth.summary())
    _write_json(truth.to_json(), args.json)
    return 0


def _movielens(args: argparse.Namespace) -> int:
    from tfrec_zoo.data.movielens import movielens

    result = movielens(args.variant, args.output, args.source)
    if args.json != "-":
        counts = "{interactions:,} interactions of {users:,} users, {items:,} items".format_map(result)
        print(f"{counts}  {'  '.join(result['files'])}")
    _write_json(result, args.json)
    return 0


def _prepare(args: argparse.Namespace) -> int:
    import beam_jobs

    options = beam_jobs.PrepareOptions.from_args(args)
    result = beam_jobs.prepare(options)
    if args.json != "-":
        from beam_jobs.summary import print_summary

        print_summary(result, options.output)
    _write_json(result, args.json)
    return 0


def _models(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.models.registry import describe

    zoo = describe(args.items)
    if args.json != "-":
        from tfrec_zoo.tables import print_table

        columns = ["model", "paper", "objective", "needs", f"parameters ({args.items:,} items)"]
        print_table(columns, [[name, *row.values()] for name, row in zoo.items()])
    _write_json(zoo, args.json)
    return 0


def _train(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.training.train import print_result, train

    result = train(
        args.model,
        args.data,
        args.workdir,
        config=args.config,
        assignments=args.set,
        seed=args.seed,
        refit=args.refit,
        overwrite=args.overwrite,
        quiet=args.quiet,
    )
    if args.json != "-":
        print_result(result)
    _write_json(result, args.json)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.evaluation.report import evaluate_run, print_report

    report = evaluate_run(
        args.workdir,
        args.data,
        split=args.split,
        filter_seen=args.filter_seen,
        ks=args.ks,
        sampled=args.sampled,
        seed=args.seed,
        card=not args.no_card,
        report=args.report,
        command=shlex.join(["tfrec", *args.argv]),
        quiet=args.quiet,
    )
    if args.json != "-":
        print_report(report, groups=args.groups)
    _write_json(report, args.json)
    return 0


def _compare(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.evaluation.comparison import compare_runs, print_comparison

    result = compare_runs(
        args.runs[0],
        args.runs[1],
        args.data,
        metric=args.metric,
        split=args.split,
        filter_seen=args.filter_seen,
        seed=args.seed,
        quiet=args.quiet,
    )
    if args.json != "-":
        print_comparison(result)
    _write_json(result, args.json)
    return 0


def _export(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.export.export_run import export_run

    def progress(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr)

    result = export_run(args.workdir, args.data, args.output, version=args.version, max_k=args.max_k, progress=progress)
    if args.json != "-":
        print(f"{result['path']}  {result['bytes']:,} bytes  signatures {', '.join(result['signatures'])}  gate passed")
    _write_json(result, args.json)
    return 0


def _serve(args: argparse.Namespace) -> int:
    # The server is a process of its own; this one becomes it, so signals and the exit status are the server's.
    sys.stdout.flush()
    arguments = [argument for argument in args.argv[1:] if argument != "--debug"]
    os.execv(sys.executable, [sys.executable, "-m", "serving.server", *arguments])


def _query(args: argparse.Namespace) -> int:
    from serving import query

    return query.run(args)


def _bench(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.benchmarks.registry import bench
    from tfrec_zoo.tables import print_table

    result = bench(args.name, args.data)
    if args.json != "-":
        print_table(list(result["rows"][0]), [list(row.values()) for row in result["rows"]])
    _write_json(result, args.json)
    return 0


def _quiet_tensorflow(args: argparse.Namespace) -> None:
    if not args.debug:
        from tfrec_zoo.quiet import import_tensorflow_quietly

        import_tensorflow_quietly()


def _write_json(result: Mapping[str, Any], destination: str | None) -> None:
    text = json.dumps(result, indent=1)
    if destination == "-":
        print(text)
    elif destination:
        try:
            Path(destination).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise TfrecError(f"--json {destination} cannot be written: {error}") from error


if __name__ == "__main__":
    sys.exit(main())
