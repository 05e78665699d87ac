"""What the job `embed_items` can be told, and its flags; standard library only, as beam_jobs/options is."""

from __future__ import annotations

import argparse
import dataclasses

from beam_jobs.options.values import check_counts, count
from beam_jobs.runner_options import RunnerChoice, add_runner_arguments


@dataclasses.dataclass(frozen=True, kw_only=True)
class EmbedOptions:
    """Options of the job.

    Attributes:
        saved_model: A version of an exported model, such as saved_models/dssm/1.
        data: A dataset with the view `items`: the one that the model was trained on, or another.
        output: Directory of the vectors. On a cluster all workers see all three under the same paths.
        batch_size: Items that are encoded at once.
        runner, workers, beam_flags: Name, workers and flags of a `RunnerChoice`.

    Raises:
        ConfigError: A value is out of its range, or a flag is none of the runner's.
    """

    saved_model: str
    data: str
    output: str
    batch_size: int = 1024
    runner: str = "FnApiRunner"
    workers: int | None = None
    beam_flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Checks every value."""
        check_counts(self, "batch_size")
        object.__setattr__(self, "beam_flags", self.runner_choice.flags)

    @property
    def runner_choice(self) -> RunnerChoice:
        """The runner and what it is told."""
        return RunnerChoice(self.runner, self.workers, tuple(self.beam_flags))

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> EmbedOptions:
        """Options of parsed flags."""
        return cls(**{field.name: getattr(args, field.name) for field in dataclasses.fields(cls)})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the job; `EmbedOptions.from_args` reads them back."""
    add = parser.add_argument
    add("--saved-model", required=True, metavar="VERSION", help="an exported model, as in saved_models/dssm/1")
    add("--data", required=True, metavar="DATA", help="dataset with the view items")
    add("--output", required=True, metavar="VECTORS", help="directory of the vectors")
    add("--batch-size", type=count, default=1024, metavar="N", help="items encoded at once (default: %(default)s)")
    add("--json", metavar="FILE", help="write the figures as JSON; - is stdout")
    add_runner_arguments(parser.add_argument_group("where it runs"))
    parser.set_defaults(beam_flags=())
