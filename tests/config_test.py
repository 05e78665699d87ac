from pathlib import Path

import pytest

from tfrec_zoo.config import merge, parse_assignments, read_yaml
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.registry import MODELS
from tfrec_zoo.runs.run_config import PRESETS, RunConfig, load_config


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_presets_that_its_configuration_accepts(model: str, preset: str) -> None:
    config = load_config(model, preset=preset)
    assert config.model == model
    assert RunConfig.parse(config.to_dict()) == config


def test_the_presets_differ_and_no_other_is_known() -> None:
    assert load_config("bert4rec") == load_config("bert4rec", preset="fast") != load_config("bert4rec", preset="paper")
    with pytest.raises(ConfigError, match="no preset 'quick': choose one of fast, paper"):
        load_config("bert4rec", preset="quick")


def test_later_values_win_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("network: {dim: 32, heads: 4}\nseed: 5\n")
    config = load_config("bert4rec", file, ["network.dim=16", "training.epochs=3"], seed=7)
    assert (config.network["dim"], config.network["heads"], config.network["blocks"]) == (16, 4, 2)
    assert (config.training.epochs, config.seed) == (3, 7)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("network.width=3", "unknown configuration key `width`.*known here: .*dim"),
        ("training.epoch=3", "unknown configuration key `training.epoch`.*epochs"),
        ("trainnig.epochs=3", "unknown configuration key `trainnig`"),
        ("training.batch_size=0", "`training.batch_size`: .*greater than or equal to 1, got 0"),
        ("training.schedule=step", "`training.schedule`: .*'constant', 'cosine' or 'linear'"),
        ("network.dropout=1.5", "`dropout`: .*less than 1"),
        ("network.dim=63", "dim .63. must be a multiple of heads"),
        ("network.mask_rate=often", "`mask_rate`: .*number"),
        ("dim", "KEY=VALUE"),
        ("network..dim=3", "KEY=VALUE"),
        ("network.dim={", "not YAML"),
    ],
)
def test_a_wrong_key_or_value_is_named(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("bert4rec", assignments=[assignment])


def test_an_unknown_model_lists_the_zoo() -> None:
    with pytest.raises(ConfigError, match="no model 'bert5rec'.*bert4rec"):
        load_config("bert5rec")


def test_a_configuration_of_another_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="is one of 'sasrec'"):
        load_config("bert4rec", {"model": "sasrec"})


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n")
    with pytest.raises(ConfigError, match="must be a mapping"):
        read_yaml(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "missing.yaml")


def test_merge_and_assignments_leave_their_arguments_alone() -> None:
    base = {"a": {"b": 1, "c": 2}}
    assert merge(base, parse_assignments(["a.b=3", "d=[1, 2]"])) == {"a": {"b": 3, "c": 2}, "d": [1, 2]}
    assert base == {"a": {"b": 1, "c": 2}}
