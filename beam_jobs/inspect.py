"""`tfrec inspect DATA`, and `python -m beam_jobs.inspect DATA`: what a dataset holds, and whether it is whole."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError, TfrecError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags."""
    parser.add_argument("data", metavar="DATA", help="the dataset directory")
    parser.add_argument("--plot", metavar="FILE", help="draw it: .png, .svg or .pdf")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="show N records with raw ids")
    parser.add_argument("--view", metavar="VIEW", help="of the sample (default: the first)")
    parser.add_argument("--split", metavar="SPLIT", help="of the sample (default: test)")
    parser.add_argument(
        "--verify", action="store_true", help="read everything: checksums, counts, digests, ids, splits"
    )
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is stdout")


def inspect(
    data: str | Path,
    *,
    plot: str | Path | None = None,
    sample: int = 0,
    view: str | None = None,
    split: str | None = None,
    verify: bool = False,
) -> dict[str, Any]:
    """Looks into a dataset.

    Args:
        data: Its directory.
        plot: Where to draw it.
        sample: Number of records to decode.
        view: Where they come from; default: the first one.
        split: Of the view; default: test.
        verify: Whether to read and check every record.

    Returns:
        The card (see `dataset_card.card`), and `sample` (`view`, `split`, `rows`) and `verify` (see
        `dataset_check.verify`) where they were asked for.

    Raises:
        DataError: Not a dataset, or a damaged one; with `verify` damage inside of files is part of the result.
        ConfigError: No such view or split.
    """
    from beam_jobs import dataset_card, dataset_check, dataset_rows

    if sample < 0:
        raise ConfigError(f"--sample must be at least 0, not {sample}")
    spec = DatasetSpec.read(data)
    result: dict[str, Any] = {}
    if verify:
        result["verify"] = dataset_check.verify(spec)
        if not result["verify"]["ok"]:
            # The card would stumble over what is damaged.
            return {"path": str(spec.directory), **result}
    card = dataset_card.card(spec)
    if sample:
        view, split = dataset_rows.choose(spec, view, split)
        rows = dataset_rows.sample(spec, view, split, sample)
        result["sample"] = {"view": view, "split": split, "rows": rows}
    if plot:
        from beam_jobs.dataset_picture import draw

        draw(spec, card, plot)
    return {**card, **result}


def run(args: argparse.Namespace) -> int:
    """The command: prints, and writes JSON.

    Returns:
        0, or 1 if `--verify` found something wrong.
    """
    from beam_jobs.dataset_print import print_dataset

    result = inspect(
        args.data, plot=args.plot, sample=args.sample, view=args.view, split=args.split, verify=args.verify
    )
    if args.json != "-":
        print_dataset(result)
    text = json.dumps(result, indent=1)
    if args.json == "-":
        print(text)
    elif args.json:
        try:
            Path(args.json).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise DataError(f"--json {args.json} cannot be written: {error}") from error
    return 0 if result.get("verify", {"ok": True})["ok"] else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m beam_jobs.inspect`: 0 success, 1 failure or damage, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        "python -m beam_jobs.inspect", description="Shows what a dataset holds.", allow_abbrev=False
    )
    add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of a failure")
    args = parser.parse_args(arguments)
    try:
        return run(args)
    except TfrecError as error:
        if args.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 1


if __name__ == "__main__":
    sys.exit(main())
