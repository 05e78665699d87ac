"""`tfrec movielens`: tiny archives in each of GroupLens's formats, a local HTTP server in place of theirs."""

import dataclasses
import functools
import json
import socket
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tfrec_zoo.cli import main
from tfrec_zoo.data import movielens as module
from tfrec_zoo.data.movielens import movielens
from tfrec_zoo.data.movielens_archive import md5_of
from tfrec_zoo.errors import ConfigError, DataError

_FLAGS = "0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0"
_UNKNOWN = "1" + "|0" * 18
FILES = {
    "100k": {
        "u.data": "196\t2\t3\t881250949\n186\t1\t3\t891717742\n",
        "u.item": f"1|Toy Story (1995)|01-Jan-1995||http://x|{_FLAGS}\n"
        f"2|Misérables, Les (1995)|01-Jan-1995||http://x|{_UNKNOWN}\n267|unknown||||{_UNKNOWN}\n",
        "u.user": "186|24|M|technician|85711\n196|53|F|other|94043\n",
    },
    "1m": {
        "ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n2::661::4::978302110\n",
        "movies.dat": "661::James and the Giant Peach (1996)::Animation|Children's|Musical\n"
        "1193::One Flew Over: a Test (1975)::Drama\n",
        "users.dat": "1::F::1::10::48067\n2::M::56::16::70072\n",
    },
    "20m": {
        "ratings.csv": "userId,movieId,rating,timestamp\n1,2,3.5,1112486027\n",
        "movies.csv": 'movieId,title,genres\n1,Toy Story (1995),Adventure|Children\n2,"Amélie, or so (2001) ",Romance\n'
        "3,Untitled,(no genres listed)\n",
    },
}


def make_archive(variant: str, folder: Path, files: dict[str, str] | None = None) -> Path:
    path = folder / f"ml-{variant}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in (files or FILES[variant]).items():
            archive.writestr(f"ml-{variant}/{name}", text.encode("utf-8" if variant == "20m" else "latin-1"))
    return path


EXPECTED = {
    "100k": {
        "interactions.csv": "user_id,item_id,rating,timestamp\n196,2,3,881250949\n186,1,3,891717742\n",
        "items.csv": "item_id,movie_title,release_year,class\n1,Toy Story,1995,Animation Children's Comedy\n"
        '2,"Misérables, Les",1995,unknown\n267,unknown,,unknown\n',
        "users.csv": "user_id,age,gender,occupation,zip_code\n186,24,M,technician,85711\n196,53,F,other,94043\n",
    },
    "1m": {
        "interactions.csv": "user_id,item_id,rating,timestamp\n1,1193,5,978300760\n1,661,3,978302109\n"
        "2,661,4,978302110\n",
        "items.csv": "item_id,movie_title,release_year,class\n"
        "661,James and the Giant Peach,1996,Animation Children's Musical\n1193,One Flew Over: a Test,1975,Drama\n",
        "users.csv": "user_id,age,gender,occupation,zip_code\n1,1,F,10,48067\n2,56,M,16,70072\n",
    },
    "20m": {
        "interactions.csv": "user_id,item_id,rating,timestamp\n1,2,3.5,1112486027\n",
        "items.csv": "item_id,movie_title,release_year,class\n1,Toy Story,1995,Adventure Children\n"
        '2,"Amélie, or so",2001,Romance\n3,Untitled,,unknown\n',
    },
}


@pytest.mark.parametrize("variant", FILES)
@pytest.mark.parametrize("unpacked", [False, True])
def test_every_format_becomes_the_same_csvs(variant: str, unpacked: bool, tmp_path: Path) -> None:
    source = make_archive(variant, tmp_path)
    if unpacked:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(tmp_path / "unpacked")
        source = tmp_path / "unpacked"
    result = movielens(variant, tmp_path / "OUT", source)
    assert {path.name: path.read_text("utf-8") for path in (tmp_path / "OUT").iterdir()} == EXPECTED[variant]
    assert result["users"] == len({row.split(",")[0] for row in EXPECTED[variant]["interactions.csv"].split()[1:]})
    assert result["interactions"] == EXPECTED[variant]["interactions.csv"].count("\n") - 1


def test_the_csvs_are_what_prepare_reads(tmp_path: Path) -> None:
    import beam_jobs

    movielens("1m", tmp_path / "OUT", make_archive("1m", tmp_path))
    done = beam_jobs.prepare(
        beam_jobs.PrepareOptions(
            input=(str(tmp_path / "OUT" / "interactions.csv"),), output=str(tmp_path / "DATA"), quiet=True
        )
    )
    assert (done["rows"], done["rows_rejected"], done["users"]) == (3, 0, 2)


def test_the_command_prints_the_result_and_the_licence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_archive("100k", tmp_path)
    arguments = ["movielens", "--variant", "100k", "--output", str(tmp_path / "OUT"), "--source", str(source)]
    assert main([*arguments, "--json", str(tmp_path / "r.json")]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("2 interactions of 2 users, 3 items")
    assert "no commercial use" in err
    assert "another checksum" in err, "it is not GroupLens's own file"
    assert json.loads((tmp_path / "r.json").read_text())["interactions"] == 2


# Downloads


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/", folder
        running.shutdown()
        thread.join()


def test_a_download_is_checked_and_leaves_only_csvs(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = server
    md5 = md5_of(make_archive("100k", folder))
    monkeypatch.setitem(module.VARIANTS, "100k", dataclasses.replace(module.VARIANTS["100k"], md5=md5))
    lines: list[str] = []
    movielens("100k", tmp_path / "OUT", base_address=address, progress=lines.append)
    assert {path.name for path in (tmp_path / "OUT").iterdir()} == set(EXPECTED["100k"])
    assert any("MiB" in line for line in lines)


def test_a_download_of_something_else_is_refused(server: tuple[str, Path], tmp_path: Path) -> None:
    address, folder = server
    make_archive("100k", folder)
    with pytest.raises(DataError, match="has the MD5 .*GroupLens publishes 0e33842e.*--source FILE"):
        movielens("100k", tmp_path / "OUT", base_address=address)
    assert not (tmp_path / "OUT").exists()


def test_no_network_is_one_clear_error(server: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ml-1m.zip cannot be downloaded: .*not found.*--source FILE"):
        movielens("1m", tmp_path / "OUT", base_address=server[0])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(DataError, match="cannot be downloaded: .*refused.*--source FILE"):
            movielens("1m", tmp_path / "OUT", base_address=address)
    assert not (tmp_path / "OUT").exists()


# Wrong sources


def test_wrong_sources_are_clear_errors_and_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    damaged = make_archive("20m", tmp_path)
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b"1112486027", b"1112486020", 1))
    bad_row = {**FILES["1m"], "ratings.dat": "1::1193::5::978300760\n1::1193::five::978300760\n"}
    for folder in ("bad", "empty"):
        (tmp_path / folder).mkdir()
    for variant, source, message in [
        ("100k", make_archive("1m", tmp_path), "is not MovieLens 100k: it has no u.item, u.user, u.data.*--variant"),
        ("100k", tmp_path / "text.zip", "neither a zip archive nor a folder"),
        ("100k", tmp_path / "nowhere.zip", "does not exist"),
        ("20m", damaged, "ratings.csv in .* cannot be read: Bad CRC"),
        ("1m", make_archive("1m", tmp_path / "bad", bad_row), "row 2 of ratings.dat in .* is not a row of MovieLens"),
        ("1m", make_archive("1m", tmp_path / "empty", {**FILES["1m"], "users.dat": ""}), "users.dat in .* is empty"),
    ]:
        with pytest.raises(DataError, match=message):
            movielens(variant, tmp_path / "OUT", source)
        assert not (tmp_path / "OUT").exists()


def test_an_unknown_variant(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no MovieLens variant '10m'; there are 100k, 1m, 20m"):
        movielens("10m", tmp_path / "OUT")
    with pytest.raises(SystemExit) as stopped:
        main(["movielens", "--variant", "10m", "--output", str(tmp_path / "OUT")])
    assert stopped.value.code == 2
