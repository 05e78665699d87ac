"""Where a job runs: the runner, its workers, and the Beam flags that go with it.

Standard library only until a flag of a remote runner has to be checked. Beam only warns of flags that it does not
know, and ignores those of another runner; here both are usage errors.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from tfrec_zoo.errors import ConfigError

LOCAL_RUNNERS = ("FnApiRunner", "DirectRunner", "multi_processing")
REMOTE_RUNNERS = ("PortableRunner", "DaskRunner", "FlinkRunner", "SparkRunner", "DataflowRunner")
RUNNERS = LOCAL_RUNNERS + REMOTE_RUNNERS

_PIPELINE_OPTIONS = "apache_beam.options.pipeline_options"
_COMMON = ("PortableOptions", "JobServerOptions", "SetupOptions", "WorkerOptions", "DebugOptions", "ProfilingOptions")
_FLAG_CLASSES = {
    "PortableRunner": _COMMON,
    "DaskRunner": ("apache_beam.runners.dask.dask_runner.DaskOptions",),
    "FlinkRunner": (*_COMMON, "FlinkRunnerOptions"),
    "SparkRunner": (*_COMMON, "SparkRunnerOptions"),
    "DataflowRunner": ("GoogleCloudOptions", "SetupOptions", "WorkerOptions", "DebugOptions", "ProfilingOptions"),
}
"""Runner -> the classes of Beam's options that it reads."""

_REQUIRED = {
    "PortableRunner": ("job_endpoint", "--job-endpoint HOST:PORT, the job server"),
    "DaskRunner": ("address", "--dask-scheduler tcp://HOST:PORT, the scheduler that its workers are connected to"),
}
_OTHER_NAMES = {"--dask_scheduler": "--dask_client_address"}


@dataclasses.dataclass(frozen=True)
class RunnerChoice:
    """A runner and everything that it is told.

    Attributes:
        name: One of `RUNNERS`.
        workers: Processes of "multi_processing"; None: one a CPU.
        flags: Standard Beam flags of a remote runner, such as `--flink_master=host:8081`; `-` and `_` mean the same.

    Raises:
        ConfigError: No such runner, a flag that the runner does not know, or one that is missing.
    """

    name: str = "FnApiRunner"
    workers: int | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks the flags against Beam's own definitions."""
        if self.name not in RUNNERS:
            raise ConfigError(f"runner {self.name!r} is not supported: choose one of {', '.join(RUNNERS)}")
        if self.workers is not None and (self.workers < 1 or self.name != "multi_processing"):
            raise ConfigError(
                f"workers must be at least 1, not {self.workers}"
                if self.workers < 1
                else f"--workers belongs to --runner multi_processing; {self.name} has flags of its own"
            )
        if self.name in LOCAL_RUNNERS:
            if self.flags:
                raise ConfigError(f"unrecognized arguments: {' '.join(self.flags)}")
            return
        object.__setattr__(self, "flags", tuple(_beam_spelling(flag) for flag in self.flags))
        parsed = _parse(self.name, self.flags)
        dest, what = _REQUIRED.get(self.name, ("", ""))
        if dest and not getattr(parsed, dest):
            raise ConfigError(f"--runner {self.name} needs {what}")

    @property
    def shares_memory(self) -> bool:
        """Whether the work is done in this process."""
        return self.name in ("FnApiRunner", "DirectRunner")


def local_workers(choice: RunnerChoice) -> int | None:
    """Worker processes on this machine; None: the workers are elsewhere."""
    if choice.name == "multi_processing":
        return choice.workers or os.cpu_count() or 1
    return 1 if choice.shares_memory else None


def add_runner_arguments(group: argparse._ArgumentGroup) -> None:
    """Adds --runner and --workers; what the parser leaves over is a remote runner's (`parse_with_beam_flags`)."""
    group.add_argument(
        "--runner",
        choices=RUNNERS,
        default=RUNNERS[0],
        help="Beam runner (default: %(default)s, in memory); the flags of a remote one are given as Beam spells them, "
        "as in --runner DaskRunner --dask-scheduler tcp://HOST:PORT or --runner PortableRunner --job-endpoint "
        "HOST:PORT --environment-type LOOPBACK",
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes of --runner multi_processing (default: one a CPU)"
    )


def parse_with_beam_flags(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses a command line and leaves what belongs to a remote runner in `beam_flags`.

    Exits with status 2 on a flag that nobody knows; what the runner does not know, `RunnerChoice` refuses.
    """
    args, rest = parser.parse_known_args(arguments)
    if rest and getattr(args, "runner", None) not in REMOTE_RUNNERS:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.beam_flags = tuple(rest)
    return args


def _beam_spelling(flag: str) -> str:
    """`--job-endpoint=h:1` as Beam spells it: `--job_endpoint=h:1`; values stay as they are."""
    if not flag.startswith("--"):
        return flag
    name, equals, value = flag.partition("=")
    name = "--" + name[2:].replace("-", "_")
    return _OTHER_NAMES.get(name, name) + equals + value


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _parse(runner: str, flags: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(allow_abbrev=False, add_help=False)
    for path in _FLAG_CLASSES[runner]:
        _flag_adder(path, runner)(parser)
    parsed, unknown = parser.parse_known_args(list(flags))
    if unknown:
        raise ConfigError(f"unrecognized arguments: {' '.join(unknown)} (neither of this job nor of Beam's {runner})")
    return parsed


def _flag_adder(path: str, runner: str) -> Callable[[argparse.ArgumentParser], Any]:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module or _PIPELINE_OPTIONS), name)._add_argparse_args
    except ModuleNotFoundError as error:
        raise ConfigError(f"--runner {runner} needs {error.name}, which is not installed") from error
