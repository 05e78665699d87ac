"""docs/prepare.md names every flag, with the defaults that the flags have."""

import argparse
import re
from pathlib import Path

from beam_jobs.options import features, filters, inputs, labelling, profiling, splitting, transferring, viewing

PAGE = (Path(__file__).parents[2] / "docs" / "prepare.md").read_text(encoding="utf-8")


def test_every_flag_is_documented_and_every_documented_flag_exists():
    parser = argparse.ArgumentParser()
    for topic in (inputs, features, filters, splitting, viewing, labelling, transferring, profiling):
        topic.add_flags(parser)
    flags = {flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")} - {"--help"}
    documented = set(re.findall(r"--[a-z][a-z-]*[a-z]", PAGE))
    assert flags - documented == set()
    assert documented - flags == {"--output", "--partitions"}


def test_the_copyable_command_is_understood():
    command = re.search(r"tfrec prepare (.*?)```", PAGE, re.DOTALL)[1].replace("\\\n", " ").replace("'", "").split()
    from beam_jobs.options import PrepareOptions, add_arguments

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = PrepareOptions.from_args(parser.parse_args(command))
    assert (options.multi, options.split, options.k_core) == ((("genres", "|"),), "temporal", 5)
    assert options.views == ("sequences", "items")
