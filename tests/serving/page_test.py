"""The page at /ui: what it may be asked, and what it never tells."""

import http.client
import json
import re
import urllib.parse
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from serving.server import page, protoset, titles
from serving.server.errors import StartupError
from serving.server.titles import Titles

UI = Path(page.__file__).parent / "ui"


@pytest.fixture(scope="module")
def get(server):
    """Sends a GET, its path as it is: (status, headers, body)."""

    def ask(path, method="GET"):
        connection = http.client.HTTPConnection(server.rest_address, timeout=120)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    return ask


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/ui", "text/html; charset=utf-8"),
        ("/ui/", "text/html; charset=utf-8"),
        ("/ui?model=recs", "text/html; charset=utf-8"),
        ("/ui/page.js", "text/javascript; charset=utf-8"),
        ("/ui/page.css", "text/css; charset=utf-8"),
        ("/ui/icon.svg", "image/svg+xml"),
        ("/ui/server.json", "application/json"),
        ("/ui/items.json", "application/json"),
        ("/ui/predict.protoset", "application/octet-stream"),
    ],
)
def test_every_file_has_its_type_and_forbids_what_is_not_the_servers_own(get, path, content_type):
    status, headers, body = get(path)
    assert (status, headers["Content-Type"], bool(body)) == (200, content_type, True)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/../page.py",
        "/ui/%2e%2e/page.py",
        "/ui/..%2fpage.py",
        "/ui/%2Fetc%2Fpasswd",
        "/ui//etc/passwd",
        "/ui/nothing.js",
        "/ui/page.js/",
        "/ui/page.js%00",
        "/UI",
        "/",
    ],
)
def test_no_path_leads_out_of_the_page(get, path):
    status, _, body = get(path)
    assert (status, json.loads(body)) == (404, {"error": "Not Found"})


def test_only_reading_is_answered(get):
    assert get("/ui", "HEAD")[::2] == (200, b"")
    assert get("/ui", "POST")[0] == 404


def test_the_page_loads_nothing_from_elsewhere():
    for file in UI.iterdir():
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text
        assert "https://" not in text
        for local in re.findall(r'(?:src|href|from)[= ]"(/ui/[^"]+)"', text):
            assert (UI / local.removeprefix("/ui/")).is_file()


def test_it_tells_the_models_and_where_grpc_is(get, server):
    port = int(server.address.rpartition(":")[2])
    expected = {"models": ["recs", "kinds", "points"], "grpc_port": port, "tls": False, "titles": 20}
    assert json.loads(get("/ui/server.json")[2]) == expected


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("id=item3&id=item7&id=nothing", ["item3", "item7"]),
        ("search=" + urllib.parse.quote("FILM <B>1</B>"), ["item1"]),
        ("search=item19", ["item19"]),
        ("search=sequel", [f"item{place}" for place in range(20)]),
        ("search=nowhere", []),
        ("search=", []),
        ("", []),
    ],
)
def test_items_are_found_by_id_and_by_a_part_of_the_title(get, query, found):
    answer = json.loads(get(f"/ui/items.json?{query}")[2])
    assert answer == {item: f"Film <b>{item.removeprefix('item')}</b>, the sequel" for item in found}


def test_a_search_goes_on_after_an_item_and_ends_at_the_limit():
    films = Titles({"a": "dune dune", "b": "Dune\nMessiah", "c": "Emma", "d": "DUNE"})
    assert list(films.search("dune", 10)) == ["a", "b", "d"]
    assert list(films.search("dune", 2)) == ["a", "b"]
    assert films.search("\n", 10) == Titles({}).search("dune", 10) == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"item_id,name\n1,Dune\n", "titles need the columns item_id and title (or one that ends in title), not item"),
        (b"", "not an empty file"),
        (b"item_id,title\n1,D\xfcne\n", "is no CSV file of UTF-8 text"),
        (None, "No such file or directory"),
    ],
)
def test_titles_that_cannot_be_read_are_told_in_a_line(tmp_path, content, message):
    file = tmp_path / "items.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError, match=re.escape(message)) as caught:
        titles.read(file)
    assert "\n" not in str(caught.value)


def test_the_protoset_describes_predict():
    files = descriptor_pb2.FileDescriptorSet.FromString(protoset.predict()).file
    assert files[1].dependency == [files[0].name]
    assert f"{files[1].package}.{files[1].service[0].name}" == "tensorflow.serving.PredictionService"
