"""The split protocols of `--split`, a file each."""

from __future__ import annotations

from beam_jobs.moments import Moment, parse_moment
from beam_jobs.options import PrepareOptions
from beam_jobs.splits.by_files import ByFiles
from beam_jobs.splits.drawn import Drawn
from beam_jobs.splits.held_out_users import HeldOutUsers
from beam_jobs.splits.leave_one_out import LeaveOneOut
from beam_jobs.splits.split import Split
from beam_jobs.splits.temporal import Temporal


def make_split(options: PrepareOptions) -> Split:
    """The split that the options ask for."""
    shares = options.valid_share, options.test_share
    if options.split == "temporal":
        return Temporal(*shares, _moment(options.valid_from), _moment(options.test_from))
    if options.split == "user":
        return HeldOutUsers(*shares, options.seed)
    if options.split == "random":
        return Drawn(*shares, options.seed)
    return ByFiles() if options.split == "files" else LeaveOneOut()


def _moment(text: str | None) -> Moment | None:
    return None if text is None else parse_moment(text)
