import numpy as np
import pyarrow as pa
import pytest

from beam_jobs.rules import parse_rule
from tfrec_zoo.errors import ConfigError, DataError

COLUMNS = {
    "rating": pa.array([1, 3, 3.5, None, 5], pa.float32()),
    "action": pa.array(["buy", "view", "cart", None, "buy"]),
    "stars": pa.array(["5", "x", "3.0", "", None]),
    "my column": pa.array([1, 2, 3, 4, 5]),
    "tenth": pa.array([4.1, 4.2, 4.1, 0, 1], pa.float32()),
    "paid": pa.array([True, False, None, True, False]),
    "coded": pa.array(["b", "a", None, "b", "c"]).dictionary_encode(),
    "raw": pa.array([b"buy", b"\xff", None, b"", b"view"]),
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("rating > 3", [0, 0, 1, 0, 1]),
        ("rating>=3", [0, 1, 1, 0, 1]),
        ("rating == 3", [0, 1, 0, 0, 0]),
        ("rating != 3", [1, 0, 1, 0, 1]),
        ("rating in (1, 5)", [1, 0, 0, 0, 1]),
        ("rating < 3.25 and rating > 1", [0, 1, 0, 0, 0]),
        ("action == buy", [1, 0, 0, 0, 1]),
        ("action != buy", [0, 1, 1, 0, 0]),
        ("action in (buy, cart)", [1, 0, 1, 0, 1]),
        ("'action' == \"buy\"", [1, 0, 0, 0, 1]),
        ("rating > 4 or action == cart", [0, 0, 1, 0, 1]),
        ("rating > 4 or rating < 2 and action == view", [0, 0, 0, 0, 1]),
        ("stars == 3", [0, 0, 1, 0, 0]),
        ("stars == '3'", [0, 0, 0, 0, 0]),
        ("stars == '3.0'", [0, 0, 1, 0, 0]),
        ("stars != 3", [1, 0, 0, 0, 0]),
        ("stars != x", [1, 0, 1, 1, 0]),
        ("'my column' <= 2", [1, 1, 0, 0, 0]),
        ("tenth == 4.1", [1, 0, 1, 0, 0]),
        ("paid == 1", [1, 0, 0, 1, 0]),
        ("paid == true", [1, 0, 0, 1, 0]),
        ("coded != b", [0, 1, 0, 0, 1]),
        ("raw == buy", [1, 0, 0, 0, 0]),
        ("'my column' in (2, x)", [0, 1, 0, 0, 0]),
    ],
)
def test_a_rule_finds_its_rows(rule, expected):
    assert parse_rule(rule).matches(COLUMNS).astype(int).tolist() == expected


def test_a_rule_names_its_columns():
    assert parse_rule("b > 3 and a == x or b in (1)").columns == ("a", "b")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "a column is expected, not the end, at character 1"),
        ("rating", "== != > >= < <= in is expected, not the end, at character 7"),
        ("rating = 3", "(is it ==?) is expected, not '=', at character 8"),
        ("rating >", "a value is expected, not the end"),
        ("rating > three", "> compares with a number, not with 'three', at character 8"),
        ("rating > '3'", "> compares with a number, not with '3'"),
        ("rating > nan", "> compares with a number"),
        ("rating in 3", "'(' is expected, not '3'"),
        ("rating in (3 4)", "')' is expected, not '4'"),
        ("rating > 3 rating < 5", "'and', 'or' or the end is expected, not 'rating'"),
        ("rating > 3 and", "a column is expected, not the end"),
        ("action == 'buy", "a quote that is not closed, at character 10"),
        ("__import__('os')", "is expected, not '('"),
    ],
)
def test_what_is_no_rule_says_where(rule, said):
    with pytest.raises(ConfigError) as failure:
        parse_rule(rule)
    assert said in str(failure.value)
    assert repr(rule) in str(failure.value)


def test_a_column_that_cannot_be_compared_is_named():
    with pytest.raises(DataError, match="'tags' holds list"):
        parse_rule("tags == a").matches({"tags": pa.array([["a"]])})


def test_no_rows_match_nothing():
    assert (
        parse_rule("a > 3 or b == x").matches({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())}).dtype
        == np.bool_
    )
