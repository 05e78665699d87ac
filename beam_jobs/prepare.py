"""`python -m beam_jobs.prepare`: the thin face of the function `beam_jobs.prepare`, with the flags of `tfrec prepare`.

Meant to be run, not imported: an import puts this module in the place of the function of the same name. It can
therefore be called like the function, so that tools which import every module (doctest) break nobody's job.
"""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Sequence
from typing import Any

from beam_jobs import prepare
from beam_jobs.options import PrepareOptions, add_arguments
from beam_jobs.runner_options import parse_with_beam_flags
from tfrec_zoo.errors import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job.

    Returns:
        0 success, 1 failure with one line on stderr, 2 wrong usage.
    """
    parser = argparse.ArgumentParser(
        "python -m beam_jobs.prepare", description="Turns a log into a dataset of TFRecords.", allow_abbrev=False
    )
    add_arguments(parser)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON, - for stdout")
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    args = parse_with_beam_flags(parser, arguments)
    try:
        options = PrepareOptions.from_args(args)
    except ConfigError as error:
        parser.error(str(error))
    try:
        result = prepare(options)
        from beam_jobs.summary import print_summary, write_json

        if args.json:
            write_json(result, args.json)
        if args.json != "-":
            print_summary(result, options.output)
    except KeyboardInterrupt:
        print("error: interrupted; nothing was published", file=sys.stderr)
        return 1
    except Exception as error:
        if args.debug:
            raise
        print(f"error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


class _Face(types.ModuleType):
    def __call__(self, options: PrepareOptions) -> dict[str, Any]:
        return prepare(options)


if __name__ == "__main__":
    sys.exit(main())
sys.modules[__name__].__class__ = _Face
