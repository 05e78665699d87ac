import pytest

from tfrec_zoo.tables import print_table


def test_numbers_stand_right_and_headings_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["name", "a_rather_long_heading"], [["x", 0.5], ["yy", 12.0]], title="a title")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "a title"
    assert lines[2] == "┃ name ┃ a_rather_long_heading ┃"
    assert lines[4:6] == ["│ x    │                0.5000 │", "│ yy   │               12.0000 │"]
