"""`tfrec query`: its table, its JSON, its exit status."""

import argparse
import json

import numpy as np
import pytest

from serving import named_inputs, query


@pytest.fixture
def ask(server):
    def run(*arguments, address=server.address):
        parser = argparse.ArgumentParser()
        query.add_arguments(parser)
        return query.run(parser.parse_args([*arguments, "--address", address]))

    return run


def test_table(ask, capsys):
    assert ask("recs", "--history", "item0,item2", "-k", "2") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == ["rank  item   score", "   1  item1  1", "   2  item3  -1"]
    assert err == ""


def test_an_empty_history_falls_back(ask, capsys):
    assert ask("recs", "--history", "", "-k", "1", "--version", "1") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "   1  item0  1",
        "the model knows nothing of this history: these are popular items (fallback)",
    ]


def test_json(ask, capsys, tmp_path):
    expected = {
        "model": "recs",
        "version": 2,
        "signature": "recommend",
        "item_ids": ["item1", "item2"],
        "scores": [1.0, 0.0],
        "fallback": False,
    }
    arguments = ("recs", "--history", "item0", "-k", "2", "--signature", "recommend", "--json")
    assert ask(*arguments, "-") == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert ask(*arguments, str(tmp_path / "answer.json")) == 0
    assert json.loads((tmp_path / "answer.json").read_text()) == expected
    assert "item1" in capsys.readouterr().out


def test_other_outputs(ask, capsys):
    assert ask("recs", "--history", "a,bcd", "--signature", "encode") == 0
    assert capsys.readouterr().out == "vectors: [0. 0. 1. 3.]\n"
    assert ask("recs", "--history", "a,bcd", "--signature", "encode", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["vectors"] == [0, 0, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m", "--history", "a"], "NOT_FOUND: Servable not found for request: Latest(m)"),
        (["recs", "--history", "a", "--signature", "score"], "INVALID_ARGUMENT: input size does not match signature"),
        (["recs", "--history", "a", "--json", "/nowhere/x"], "No such file or directory"),
        (["recs", "--input", "age=3"], "the signature has no input 'age'; it has history"),
        (["recs", "--input", "age=3", "--signature", "x"], "recs has no signature 'x'; it has"),
    ],
)
def test_errors_are_one_line(ask, capsys, arguments, message):
    assert ask(*arguments) == 1
    out, err = capsys.readouterr()
    assert err.startswith("tfrec query: ")
    assert message in err
    assert err.count("\n") == 1
    assert out == ""


def test_no_server(ask, capsys):
    assert ask("recs", "--timeout", "120", address="127.0.0.1:1") == 1
    assert "is `tfrec serve` running at 127.0.0.1:1?" in capsys.readouterr().err


def test_usage(ask):
    for arguments in (
        ["recs", "-k", "0"],
        ["recs", "--timeout", "0"],
        ["recs", "--verson", "1"],
        ["recs", "--input", "a"],
    ):
        with pytest.raises(SystemExit) as caught:
            ask(*arguments)
        assert caught.value.code == 2


def test_inputs_by_name(ask, capsys):
    assert ask("recs", "--input", "history=item0,item2", "-k", "1") == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["   1  item1  1"]


def test_what_is_not_given_is_unknown():
    declared = {
        "user": ("string", (-1,)),
        "genres": ("string", (-1, -1)),
        "history": ("string", (-1, -1)),
        "age": ("float", (-1,)),
        "count": ("int64", (-1,)),
    }
    row = named_inputs.one_row(declared, {"genres": "a,b", "history": "x", "count": "7"})
    assert {name: value.tolist() for name, value in row.items() if name != "age"} == {
        "user": [""],
        "genres": [["a", "b"]],
        "history": [[""] * 7 + ["x"]],
        "count": [7],
    }
    assert row["age"].dtype == np.float32
    assert np.isnan(row["age"]).all()
    with pytest.raises(ValueError, match="--input age=old: 'old' is no float"):
        named_inputs.one_row(declared, {"age": "old"})


def test_booleans():
    declared = dict.fromkeys(("a", "b", "c", "d"), ("bool", (-1,)))
    row = named_inputs.one_row(declared, {"a": "true", "b": "False", "c": "1"})
    assert {name: value.tolist() for name, value in row.items()} == {
        "a": [True],
        "b": [False],
        "c": [True],
        "d": [False],
    }
    with pytest.raises(ValueError, match="--input a=maybe: 'maybe' is neither true nor false"):
        named_inputs.one_row(declared, {"a": "maybe"})


def test_filters_and_labels(ask, capsys):
    def items():
        return [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]]

    assert ask("recs", "--history", "item0", "-k", "2", "--exclude", "item1,item2", "--label", "stable") == 0
    assert items() == ["item3", "item4"]
    assert ask("recs", "--history", "item0", "--allow", "item0,item7") == 0
    assert items() == ["item7"]
