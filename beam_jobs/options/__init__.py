"""What the prepare job can be told: a frozen dataclass and its flags, a file a topic.

Standard library only, so that `--help` needs neither Beam nor pyarrow. Both faces (`tfrec prepare` and
`python -m beam_jobs.prepare`) call `add_arguments`, so their flags cannot drift apart.

A topic is a module with a dataclass of its options, `check(options)` and `add_flags(parser)`; `PrepareOptions` inherits
all of them. A new topic is a new module and a line in `_TOPICS` and in the bases.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from beam_jobs.options import features, filters, inputs, labelling, profiling, running, splitting, transferring, viewing
from beam_jobs.options.features import FeatureOptions
from beam_jobs.options.filters import FilterOptions
from beam_jobs.options.inputs import InputOptions
from beam_jobs.options.labelling import LabelOptions
from beam_jobs.options.profiling import ProfileOptions
from beam_jobs.options.running import RunOptions
from beam_jobs.options.splitting import SplitOptions
from beam_jobs.options.transferring import TransferOptions
from beam_jobs.options.viewing import ViewOptions

_TOPICS = (inputs, features, filters, splitting, viewing, labelling, transferring, profiling, running)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrepareOptions(
    InputOptions,
    FeatureOptions,
    FilterOptions,
    SplitOptions,
    ViewOptions,
    LabelOptions,
    TransferOptions,
    ProfileOptions,
    RunOptions,
):
    """Options of the prepare job; each base documents those of its topic.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __post_init__(self) -> None:
        """Checks every value, so that a job never starts on options that it cannot keep."""
        for topic in _TOPICS:
            topic.check(self)

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> PrepareOptions:
        """Options of parsed flags; attributes of `args` that are not options are left alone."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: getattr(args, name) for name in names})

    def recorded(self, partitions: int) -> dict[str, Any]:
        """What dataset.json keeps: everything that the files depend on, and nothing else.

        Args:
            partitions: The number that was used, so that a repetition does not depend on a default.
        """
        content = {name: value for name, value in dataclasses.asdict(self).items() if name not in running.PLACE_ONLY}
        files = {name: sorted(content[name]) for name in ("input", "valid_input", "test_input", "target_input")}
        return {**content, **files, "multi": dict(self.multi), "bands": dict(self.bands), "partitions": partitions}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the prepare job; `PrepareOptions.from_args` reads them back."""
    for topic in _TOPICS:
        topic.add_flags(parser)
