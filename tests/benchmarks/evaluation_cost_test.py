from tfrec_zoo.benchmarks.evaluation_cost import WAYS, run


def test_every_way_is_measured_on_the_same_users() -> None:
    rows = run(users=40, items=60, events=12)
    assert [row["way"] for row in rows] == list(WAYS.values())
    assert {row["users"] for row in rows} == {40}
    for row in rows:
        assert row["seconds"] > 0
        assert row["peak_rss_mib"] >= row["added_mib"] >= 0
