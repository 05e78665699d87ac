"""A large log with many kinds of damage, and ids and times at the edge of what is accepted."""

import json

import numpy as np
import pytest

from beam_jobs.moments import Moment, TimeLimits, parse_moment
from tests.beam_jobs.conftest import run
from tfrec_zoo.errors import ConfigError, DataError

KINDS = {
    "wrong_column_count": lambda n: [b"u%d,i,5" % n, b"u%d,i,5,1,click,9,9" % n][n % 2],
    "empty_id": lambda n: [b",i%d,5,1,click,9" % n, b"u%d,,5,1,click,9" % n][n % 2],
    "forbidden_character": lambda n: [
        b'"u\n%d",i,5,1,click,9' % n,
        b'u,"i\r%d",5,1,click,9' % n,
        b"u\0%d,i,5,1,click,9" % n,
    ][n % 3],
    "not_utf8": lambda n: [b"u%d\xff,i,5,1,click,9" % n, b"u,i%d,5,1,cli\xffck,9" % n][n % 2],
    "id_too_long": lambda n: b"u,%s%d,5,1,click,9" % (b"x" * 1024, n),
    "bad_time": lambda n: b"u%d,i,%s,1,click,9" % (n, [b"yesterday", b"", b"2021-13-01", b"nan", b"0x1F"][n % 5]),
    "time_too_early": lambda n: b"u%d,i,-%d,1,click,9" % (n, n + 1),
    "time_too_late": lambda n: b"u%d,i,%d,1,click,9" % (n, [33_000_000_000, 33_000_000_000_000][n % 2]),
    "bad_rating": lambda n: b"u%d,i,5,%s,click,9" % (n, [b"NaN", b"inf", b"good", b"", b"1_0"][n % 5]),
    "bad_dwell": lambda n: b"u%d,i,5,1,click,%s" % (n, [b"long", b"", b"-inf"][n % 3]),
}


def test_500_damaged_rows_of_ten_kinds_in_100_000(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        b"u%d,i%d,%d,%d,click,%d" % line
        for line in zip(
            rng.integers(0, 3000, 99_500).tolist(),
            np.minimum(rng.zipf(1.3, 99_500), 5000).tolist(),
            rng.integers(10**9, 1.6e9, 99_500).tolist(),
            rng.integers(1, 6, 99_500).tolist(),
            rng.integers(1, 600, 99_500).tolist(),
            strict=True,
        )
    ]
    header = b"user_id,item_id,timestamp,rating,action,dwell\n"
    (tmp_path / "clean.csv").write_bytes(header + b"\n".join(rows) + b"\n")
    places = np.sort(rng.choice(100_000, 500, replace=False))
    dirty: list[bytes] = []
    expected = {}
    undamaged = iter(rows)
    kinds = list(KINDS)
    damage = {int(place): number for number, place in enumerate(places)}
    for row in range(100_000):
        if row in damage:
            kind = kinds[damage[row] % 10]
            dirty.append(KINDS[kind](damage[row] // 10))
            expected[row + 1] = kind
        else:
            dirty.append(next(undamaged))
    (tmp_path / "dirty.csv").write_bytes(header + b"\n".join(dirty) + b"\n")
    columns = {"action_col": "action", "dwell_col": "dwell"}
    spec, exact = (run(tmp_path / f"{name}.csv", tmp_path / name, **columns) for name in ("dirty", "clean"))
    (path,) = (tmp_path / "dirty" / "rejects").iterdir()
    found = [json.loads(line) for line in path.read_text().splitlines()]
    assert {reject["row"]: reject["reason"] for reject in found} == expected
    assert len(found) == 500
    assert spec.rejects == dict.fromkeys(sorted(KINDS), 50)
    # Same files, to the last byte of their names and records: not one good row was lost or changed.
    assert spec.files == exact.files
    assert (spec.interactions, exact.rejects) == (99_500, {})


def test_an_id_of_a_megabyte_is_a_counted_reject(tmp_path):
    row = b"u," + b"x" * 2**20 + b",5\n"
    (tmp_path / "log.csv").write_bytes(b"user_id,item_id,timestamp\n" + b"u,a,1\n" * 5 + row + b"u,b,2\n" * 5)
    spec = run(tmp_path / "log.csv", tmp_path / "out", max_reject_share=0.1)
    assert (spec.rejects, spec.interactions) == ({"id_too_long": 1}, 10)


@pytest.mark.parametrize(
    ("options", "rejected"),
    [
        ({}, {"time_too_early": 1, "time_too_late": 3}),
        ({"min_time": "none", "max_time": "none"}, {}),
        ({"min_time": "2020-01-01"}, {"time_too_early": 3, "time_too_late": 3}),
        ({"min_time": 1_577_836_800, "max_time": "none"}, {"time_too_early": 2}),
        ({"max_time": "2001-09-09T01:46:41Z"}, {"time_too_early": 1, "time_too_late": 4}),
    ],
)
def test_times_that_are_not_believed(write, tmp_path, options, rejected):
    # 2001 in seconds, 2021 in milliseconds, 1973 in milliseconds; before 1970; far ahead in three units.
    times = [10**9, 1_610_000_000_000, 100_000_000_001, -1, 33 * 10**9, 33 * 10**12, 33 * 10**15]
    path = write("".join(f"u,i{n},{time}\n" for n, time in enumerate(times)))
    assert run(path, tmp_path / "out", max_reject_share=1, **options).rejects == rejected


def test_moments_and_limits():
    assert parse_moment("none") is None
    assert parse_moment("17") == Moment(17, False)
    assert parse_moment("1970-01-02") == Moment(86_400, True)
    assert parse_moment("1970-01-01T02:00:00+02:00") == Moment(0, True)
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_moment("soon")
    times = np.array([5, 86_401, -3, 10**12])
    limits = TimeLimits(Moment(6, False), Moment(86_400, True))
    assert limits.too_early(times).tolist() == [True, False, True, False]
    assert limits.too_late(times).tolist() == [False, True, False, True]
    assert not TimeLimits().too_late(times).any()


@pytest.mark.parametrize("options", [{"min_time": "soon"}, {"max_time": "2021-13-01"}])
def test_limits_that_are_no_times_are_refused(tmp_path, options):
    with pytest.raises(ConfigError, match="ISO 8601"):
        run("log.csv", tmp_path / "out", **options)


def test_a_wrong_delimiter_without_a_header_is_one_clear_error(write, tmp_path):
    path = write("u;a;1\nu;b;2\n", header="u;c;0")
    with pytest.raises(DataError, match=r"3 wrong_column_count.*First: wrong_column_count in .*, row 1"):
        run(path, tmp_path / "out", columns=("user_id", "item_id", "timestamp"))
