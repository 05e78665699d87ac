from tfrec_zoo.benchmarks.pre_ranking_cost import percentiles, run


def test_a_row_says_what_a_request_costs_and_what_is_kept_of_an_item() -> None:
    rows = run(heads=(1, 2), candidates=(10, 20), requests=3)
    assert [(row["model"], row["heads"]) for row in rows[::2]] == [
        ("dssm", ""),
        ("inttower", 4),
        ("deepfm", ""),
        ("inttower", 1),
        ("inttower", 2),
    ]
    assert [row["candidates"] for row in rows] == [10, 20] * 5
    floats = [row["floats_an_item"] for row in rows[::2]]
    assert floats[1] == 4 * floats[3] == 2 * floats[4]
    for row in rows:
        assert 0 < row["median_ms"] <= row["p99_ms"]
    assert [row["/ dssm"] for row in rows[:2]] == [1.0, 1.0]


def test_calls_that_warm_up_do_not_count() -> None:
    calls = []
    median, p99 = percentiles(lambda: calls.append(0), 5)
    assert len(calls) == 15
    assert 0 <= median <= p99
