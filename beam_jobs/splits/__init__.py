"""The split protocols of `--split`, a file each."""

from __future__ import annotations

from beam_jobs.options import PrepareOptions
from beam_jobs.splits.leave_one_out import LeaveOneOut
from beam_jobs.splits.split import Split


def make_split(options: PrepareOptions) -> Split:
    """The split that the options ask for."""
    return {"leave-one-out": LeaveOneOut}[options.split]()
