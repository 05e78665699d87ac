"""The pages: they build as a site without a warning, their links lead somewhere, and what they show parses."""

import ast
import re
import shlex
import textwrap
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config as load_mkdocs_config

from beam_jobs import PrepareOptions
from beam_jobs.runner_options import parse_with_beam_flags
from tfrec_zoo.cli import build_parser
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.registry import MODELS
from tfrec_zoo.runs.finetune_config import load_finetune_config
from tfrec_zoo.runs.run_config import load_config

ROOT = Path(__file__).parents[1]
FOLDERS = (".", "docs", "saved_models", "serving/config")
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in FOLDERS
    for path in sorted((ROOT / folder).glob("*.md"))
}


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[str]:
    """Commands in blocks, and within a line where they have two flags; continued lines are joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line for block in fenced(joined, "sh") for line in block.splitlines()]
    lines += re.findall(r"^    (tfrec .*)$", joined, re.MULTILINE)
    lines += re.findall(r"`(tfrec [^`]*--[a-z][^`]*--[a-z][^`]*)`", re.sub(r"\s*\n\s*", " ", text))
    starts = (line for line in lines if line.startswith("tfrec ") and "..." not in line)
    return list(dict.fromkeys(starts))


COMMANDS = [(page, command) for page, text in PAGES.items() for command in commands(text)]


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    build(load_mkdocs_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path)))
    assert (tmp_path / "index.html").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_links_between_files_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", PAGES[page]):
        assert (ROOT / page).parent.joinpath(target).exists(), target


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_parse_and_their_options_are_taken(page: str, command: str) -> None:
    _, name, *rest = [word for word in shlex.split(command, comments=True) if word != "&"]
    if name == "launch":
        build_parser().parse_args(rest[rest.index("--") + 1 :])
    args = parse_with_beam_flags(build_parser(), [name, *rest])
    if name == "train":
        load_config(args.model, assignments=args.set, preset=args.preset)
    elif name == "finetune":
        load_finetune_config({"model": args.model, "source": args.source, "name": "x"}, assignments=args.set)
    elif name == "prepare":
        PrepareOptions.from_args(args)


def test_every_page_of_a_command_is_read() -> None:
    assert len(COMMANDS) > 60
    assert {page for page, _ in COMMANDS} >= {"README.md", "docs/prepare.md", "docs/two-towers.md", "docs/serving.md"}


def is_taken(setting: str) -> bool:
    """Whether a model or a fine-tuning has such a setting; N stands for a number."""
    setting = re.sub(r"=N$", "=2", setting)
    given = {"model": "peterrec", "source": "RUN", "name": "x"}
    tries = [lambda model=model: load_config(model, assignments=[setting]) for model in MODELS]
    for attempt in (*tries, lambda: load_finetune_config(given, assignments=[setting])):
        try:
            attempt()
        except ConfigError:
            continue
        return True
    return False


@pytest.mark.parametrize("page", PAGES)
def test_settings_are_keys_of_a_configuration(page: str) -> None:
    settings = set(re.findall(r"\b((?:network|training|task)\.\w+=[\w\[\],]+(?:\.\d+)?)", PAGES[page]))
    assert [setting for setting in sorted(settings) if not is_taken(setting)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if fenced(PAGES[page], "python")])
def test_scripts_are_python(page: str) -> None:
    for script in fenced(PAGES[page], "python"):
        ast.parse(textwrap.dedent(script))
