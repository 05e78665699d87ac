"""`tfrec query`: one Predict over gRPC, printed as a table."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from serving import histories, named_inputs
from serving.client import DEFAULT_ADDRESS, DEFAULT_TIMEOUT, Client, Prediction, Recommendations, ServingError

_DEFAULT_SIGNATURE = "serving_default"


def _positive_int(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _named(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `tfrec query` to a parser."""
    parser.add_argument("name", metavar="NAME", help="the model's name")
    parser.add_argument(
        "--history", default="", metavar="a,b,c", help="item ids, oldest first; empty: a user of whom nothing is known"
    )
    parser.add_argument("-k", type=_positive_int, default=10, metavar="K", help="items to show (default: %(default)s)")
    parser.add_argument(
        "--address", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help="the server (default: %(default)s)"
    )
    parser.add_argument("--signature", metavar="NAME", help="signature to run (default: serving_default)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", type=_positive_int, metavar="N", help="version to ask (default: the latest)")
    which.add_argument("--label", metavar="LABEL", help="label of the version to ask")
    parser.add_argument("--exclude", default="", metavar="a,b", help="item ids that must not be recommended")
    parser.add_argument("--allow", default="", metavar="a,b", help="the only item ids that may be recommended")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        type=_named,
        metavar="NAME=VALUE",
        help="an input of the signature by name, as in --input age=25 or --input candidates=a,b; what a model of "
        "features reads and isn't told is unknown to it",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=DEFAULT_TIMEOUT,
        metavar="S",
        help="seconds until the answer must be there (default: %(default)s)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the decoded response as JSON; - for stdout")


def _plain(value: Any) -> Any:
    """Makes JSON of an array's values: strings where bytes are UTF-8, null where a float is not a number."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _table(users: Recommendations) -> str:
    width = max((len(item) for item in users.item_ids), default=4)
    lines = [f"rank  {'item':<{width}}  score"]
    for rank, (item, score) in enumerate(zip(users.item_ids, users.scores, strict=True), start=1):
        lines.append(f"{rank:>4}  {item:<{width}}  {score:.6g}")
    if users.fallback:
        lines.append("the model knows nothing of this history: these are popular items (fallback)")
    return "\n".join(lines)


def _response(answer: Prediction, k: int) -> tuple[dict[str, Any], str]:
    """Returns the decoded response, for JSON and for reading."""
    decoded: dict[str, Any] = {"model": answer.model, "version": answer.version, "signature": answer.signature}
    if {"item_ids", "scores"} <= answer.outputs.keys():
        user = histories.ranked(answer.outputs, k)[0]
        decoded |= {"item_ids": user.item_ids, "scores": user.scores}
        if user.fallback is not None:
            decoded["fallback"] = user.fallback
        lines = [_table(user)]
        if "continuations" in answer.outputs:
            decoded["continuations"] = histories.written(answer.outputs["continuations"][0])
            lines += ["continuations:", *("  " + ", ".join(items) for items in decoded["continuations"])]
        return decoded, "\n".join(lines)
    decoded |= {
        alias: _plain(value[0].tolist() if value.ndim else value.item()) for alias, value in answer.outputs.items()
    }
    with np.printoptions(precision=6, threshold=50):
        text = "\n".join(f"{alias}: {value[0] if value.ndim else value}" for alias, value in answer.outputs.items())
    return decoded, text


def run(args: argparse.Namespace) -> int:
    """Asks the server once and prints what it answers.

    Args:
        args: What `add_arguments` declares.

    Returns:
        Exit status: 0, or 1 after one clear line on stderr.
    """
    history, exclude, allow = (
        [item for item in text.split(",") if item] for text in (args.history, args.exclude, args.allow)
    )
    signature = args.signature
    try:
        with Client(args.address, args.timeout) as client:
            inputs = {"history": histories.pad_left([history])}
            if args.input:
                signatures = client.metadata(args.name, args.version)
                if (signature or _DEFAULT_SIGNATURE) not in signatures:
                    raise ValueError(f"{args.name} has no signature {signature!r}; it has {', '.join(signatures)}")
                told = {"history": args.history} if args.history else {}
                declared = signatures[signature or _DEFAULT_SIGNATURE]["inputs"]
                inputs = named_inputs.one_row(declared, told | dict(args.input))
            if exclude or allow:
                signature = signature or "recommend_filtered"
                inputs |= {
                    "exclude": histories.pad_right([exclude], least=1),
                    "exclude_seen": np.array([True]),
                    "allow": histories.pad_right([allow], least=1),
                }
            answer = client.ask(args.name, inputs, signature, args.version, args.label)
        decoded, text = _response(answer, args.k)
        if args.json == "-":
            print(json.dumps(decoded))
            return 0
        if args.json is not None:
            Path(args.json).write_text(json.dumps(decoded) + "\n", encoding="utf-8")
        print(text)
    except (ServingError, ValueError, OSError) as error:
        print(f"tfrec query: {' '.join(str(error).split())}", file=sys.stderr)  # a graph's errors have many lines
        return 1
    return 0


def main(argv: list[str] | None = None) -> int:
    """Runs `python -m serving.query`, for machines without the rest of tfrec-zoo."""
    parser = argparse.ArgumentParser(prog="tfrec query", description="Ask a served model for recommendations.")
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
