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

from beam_jobs.runner_options import parse_with_beam_flags
from tfrec_zoo import cli_arguments as arguments
from tfrec_zoo.errors import ConfigError, TfrecError

Command = Callable[[argparse.Namespace], int]

_EXTRAS = {
    "apache_beam": "beam",
    "pyarrow": "beam",
    "google_crc32c": "beam",
    "matplotlib": "beam",
    "polars": "dev",
    "grpc": "serving",
    "tensorflow_serving": "serving",
}
"""Module that may be missing -> the extra that installs it."""


def main(argv: list[str] | None = None) -> int:
    """Runs one subcommand and returns its exit status."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_with_beam_flags(build_parser(), argv)
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

    def add(name: str, command: Command, help: str, add_flags: Callable[[argparse.ArgumentParser], None]) -> None:
        subparser = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        add_flags(subparser)
        subparser.add_argument("--debug", action="store_true", help="show a traceback when something fails")
        subparser.set_defaults(command=command)

    from beam_jobs import embed_options, inspect
    from serving import query as serving_query
    from serving.server import options as server_options

    add("demo", _demo, "see the whole road once, on synthetic data", arguments.demo)
    add("synth", _synth, "write a synthetic interaction log with known structure", arguments.synth)
    add("movielens", _movielens, "write MovieLens as standard CSVs", arguments.movielens)
    add("prepare", _prepare, "turn a log into a dataset directory (Beam)", arguments.prepare)
    add("inspect", _inspect, "show what a dataset holds, draw it, verify it", inspect.add_arguments)
    add("models", _models, "list the zoo: paper, objective, needs, parameters", arguments.models)
    add("train", _train, "train a model on a dataset", arguments.train)
    add("finetune", _finetune, "transfer a pre-trained model to a task", arguments.finetune)
    add("launch", _launch, "train in several processes of this machine that form a cluster", arguments.launch)
    add("evaluate", _evaluate, "rank held-out items over the whole catalogue, beside baselines", arguments.evaluate)
    add("compare", _compare, "compare two runs user by user", arguments.compare)
    add("augment", _augment, "write a dataset of fake histories with a trained generator", arguments.augment)
    add("export", _export, "write a SavedModel version, checked by the gate", arguments.export)
    add("embed-items", _embed_items, "run an exported item tower over a catalogue (Beam)", embed_options.add_arguments)
    add("serve", _serve, "serve SavedModels over TensorFlow Serving's gRPC API", server_options.add_arguments)
    add("query", _query, "ask a model server for recommendations", serving_query.add_arguments)
    add("bench", _bench, "run a named benchmark and print its table", arguments.bench)
    return parser


def _demo(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.demo import demo

    _write_json(demo(args.workdir, seed=args.seed), args.json)
    return 0


def _synth(args: argparse.Namespace) -> int:
    if args.domains == 2:
        from tfrec_zoo.data.synthetic_domains import synthesize_domains

        result = synthesize_domains(
            args.output,
            users=args.users,
            items=args.items,
            seed=args.seed,
            min_length=args.min_length,
            max_length=args.max_length,
        )
        if args.json != "-":
            print(
                "source {source_interactions:,} interactions, {users:,} users, {items:,} items; target "
                "{target_interactions:,} interactions, {target_users:,} users, {target_items:,} items".format_map(
                    result
                )
            )
        _write_json(result, args.json)
        return 0
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

    result = movielens(args.variant, args.output, args.source, domains=args.domains)
    if args.json != "-":
        counts = "{interactions:,} interactions of {users:,} users, {items:,} items".format_map(result)
        print(f"{counts}  {'  '.join(result['files'])}")
    _write_json(result, args.json)
    return 0


def _prepare(args: argparse.Namespace) -> int:
    import beam_jobs

    try:
        options = beam_jobs.PrepareOptions.from_args(args)
    except ConfigError as error:
        print(f"tfrec prepare: error: {error}", file=sys.stderr)
        return 2
    result = beam_jobs.prepare(options)
    if args.json != "-":
        from beam_jobs.summary import print_summary

        print_summary(result, options.output)
    _write_json(result, args.json)
    return 0


def _inspect(args: argparse.Namespace) -> int:
    from beam_jobs import inspect

    return inspect.run(args)


def _models(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.models.registry import describe

    zoo = describe(args.items)
    if args.json != "-":
        from tfrec_zoo.tables import print_table

        columns = ["model", "paper", "objective", "needs", f"parameters ({args.items:,} items)", "patches of a task"]
        print_table(columns, [[name, *row.values()] for name, row in zoo.items()])
    _write_json(zoo, args.json)
    return 0


def _train(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.training.train import print_result, speaks_for_the_run, train

    result = train(
        args.model,
        args.data,
        args.workdir,
        config=args.config,
        assignments=args.set,
        seed=args.seed,
        preset=args.preset,
        refit=args.refit,
        overwrite=args.overwrite,
        strategy=args.strategy,
        worker_timeout=args.worker_timeout,
        quiet=args.quiet,
    )
    if not speaks_for_the_run(args.strategy):
        return 0
    if args.json != "-":
        print_result(result)
    _write_json(result, args.json)
    return 0


def _launch(args: argparse.Namespace) -> int:
    from tfrec_zoo.training.launch import launch

    return launch(args.arguments, args.workers, args.servers)


def _finetune(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.training.finetune import finetune, print_finetuned

    result = finetune(
        args.model,
        args.source,
        args.data,
        args.workdir,
        task=args.task,
        mode=args.mode,
        name=args.name,
        config=args.config,
        assignments=args.set,
        seed=args.seed,
        overwrite=args.overwrite,
        quiet=args.quiet,
    )
    if args.json != "-":
        print_finetuned(result)
    _write_json(result, args.json)
    return 0


def _evaluate(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.evaluation.evaluate import evaluate

    evaluated = evaluate(
        args.workdir,
        args.data,
        split=args.split,
        filter_seen=args.filter_seen,
        ks=args.ks,
        sampled=args.sampled,
        diverse=args.diverse,
        continuations=args.continuations,
        groups=args.groups,
        seed=args.seed,
        card=not args.no_card,
        report=args.report,
        command=shlex.join(["tfrec", *args.argv]),
        quiet=args.quiet,
    )
    if args.json != "-":
        evaluated.show()
    _write_json(evaluated.report, args.json)
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


def _augment(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.augmentation.augment import augment
    from tfrec_zoo.augmentation.fake_histories import AugmentationOptions

    result = augment(
        args.run,
        args.data,
        args.output,
        gaps=args.gaps,
        keep_real=args.keep_real,
        options=AugmentationOptions(
            share=args.share,
            prefix=args.prefix,
            length=args.length,
            gap_share=args.gap_share,
            temperature=args.temperature,
            top_p=args.top_p,
            no_repeats=args.no_repeats,
            seed=args.seed,
        ),
        quiet=args.quiet,
    )
    if args.json != "-":
        print(
            "{output}  {histories:,} fake histories with {made_items:,} items of {model}, {rows:,} rows  distinct-2 "
            "{distinct_2:.3f} (real {real_distinct_2:.3f})  entropy {entropy:.2f} (real {real_entropy:.2f})".format_map(
                result
            )
        )
    _write_json(result, args.json)
    return 0


def _export(args: argparse.Namespace) -> int:
    _quiet_tensorflow(args)
    from tfrec_zoo.export.export_run import export_run
    from tfrec_zoo.export.signatures.generate import GenerationLimits

    limits = {name: getattr(args, name) for name in ("max_n", "max_length") if getattr(args, name) is not None}

    def progress(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr)

    result = export_run(
        args.workdir,
        args.data,
        args.output,
        version=args.version,
        max_k=args.max_k,
        limits=GenerationLimits(**limits) if limits else None,
        refresh_items=args.refresh_items,
        tasks=args.tasks,
        progress=progress,
    )
    if args.json != "-":
        new = f"  {result['new_items']:,} new items" if result["new_items"] else ""
        names = ", ".join(result["signatures"])
        print(f"{result['path']}  {result['bytes']:,} bytes{new}  signatures {names}  gate passed")
    _write_json(result, args.json)
    return 0


def _embed_items(args: argparse.Namespace) -> int:
    import beam_jobs
    from beam_jobs.embed_options import EmbedOptions

    try:
        options = EmbedOptions.from_args(args)
    except ConfigError as error:
        print(f"tfrec embed-items: error: {error}", file=sys.stderr)
        return 2
    _quiet_tensorflow(args)
    with beam_jobs.importing_beam():
        from beam_jobs.embed_items import embed_items
    result = embed_items(options)
    if args.json != "-":
        print(
            "{items:,} vectors of {dim} numbers in {shards} files, {seconds:.1f} s".format_map(result), options.output
        )
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
    from tfrec_zoo.benchmarks.registry import WITHOUT_TENSORFLOW, bench
    from tfrec_zoo.tables import print_table

    if args.name not in WITHOUT_TENSORFLOW:
        _quiet_tensorflow(args)
    result = bench(
        args.name,
        args.data,
        rows=args.rows,
        formats=args.formats,
        quick=args.quick,
        oracle=args.oracle,
        report=args.report,
    )
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
