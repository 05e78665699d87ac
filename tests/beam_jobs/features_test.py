"""Feature tables and the items view: what train says of features, and nothing else."""

import pickle

import numpy as np
import pyarrow as pa
import pytest

from beam_jobs.features import FeatureTable
from tests.beam_jobs.conftest import decoded, run, shard_bytes, tree
from tests.beam_jobs.prepare_test import ML_100K
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError, DataError

# Leave-one-out: train rows are u a, u b, v a, v a, w c; d and e are targets only.
LOG = "u,a,1\nu,b,2\nu,d,3\nu,e,4\nv,a,1\nv,a,2\nv,b,3\nv,d,4\nw,c,1\n"
ITEMS = """\
a,red,Action|Comedy,10
b,blue, Comedy |,20
c,,Drama,
d,green,Action|War,1000
z,violet,Noir,5000
"""
HEADER = "item_id,colour,genres,price"
OPTIONS = {"numeric": ("price",), "multi": {"genres": "|"}, "views": ("sequences", "items"), "partitions": 2}


def prepared(write, tmp_path, items=ITEMS, header=HEADER, **options) -> DatasetSpec:
    table = write(items, "items.csv", header)
    return run(write(LOG), tmp_path / "out", items=table, **{**OPTIONS, **options})


def test_features_are_encoded_by_train_rows_alone(write, tmp_path):
    spec = prepared(write, tmp_path)
    # a 3 train rows, b 1, c 1.
    assert spec.vocabulary("item") == ["a", "b", "c"]
    assert spec.vocabulary("colour") == ["red", "blue"]
    assert spec.vocabulary("genres") == ["Comedy", "Action", "Drama"]
    features = spec.features["items"]
    assert (features["colour"].shape, features["colour"].cardinality, features["colour"].entity) == ((1,), 2, "item")
    assert (features["genres"].shape, features["genres"].vocabulary) == ((-1,), "vocab/genres.txt")
    # Over train rows with a price: 10, 10, 10, 20.
    assert features["price"].mean == 12.5
    assert features["price"].deviation == pytest.approx(np.std([10, 10, 10, 20]))
    low, high = (10 - 12.5) / features["price"].deviation, (20 - 12.5) / features["price"].deviation
    assert decoded(spec, "items", "all") == [
        {"id": [4], "raw_id": [b"a"], "colour": [4], "genres": [5, 4], "price": [pytest.approx(low)]},
        {"id": [5], "raw_id": [b"b"], "colour": [5], "genres": [4], "price": [pytest.approx(high)]},
        {"id": [6], "raw_id": [b"c"], "colour": [1], "genres": [6], "price": [0.0]},
    ]


def test_a_change_of_held_out_rows_changes_no_feature(write, tmp_path):
    first = tree(prepared(write, tmp_path).directory)
    other = ITEMS.replace("d,green,Action|War,1000", "d,red,Comedy|Drama,-7").replace("5000", "1")
    second = tree(prepared(write, tmp_path, other).directory)
    assert first == second


def test_a_long_text_is_a_value_like_any_other(write, tmp_path):
    spec = prepared(write, tmp_path, ITEMS.replace("red", "r" * 5000))
    assert (spec.rejects, spec.vocabulary("colour")) == ({}, ["r" * 5000, "blue"])


def test_items_that_the_table_lacks_have_no_features(write, tmp_path):
    spec = prepared(write, tmp_path, "b,blue,Comedy,20\n")
    assert decoded(spec, "items", "all")[0] == {
        "id": [4],
        "raw_id": [b"a"],
        "colour": [1],
        "genres": [],
        "price": [0.0],
    }


def test_features_of_chosen_columns_and_both_entities(write, tmp_path):
    users = write("u,nl,1\nv,,1\nx,de,3\n", "users.csv", "user_id,country,age")
    items = write(ITEMS, "items.csv", HEADER)
    spec = run(
        write(LOG),
        tmp_path / "out",
        users=users,
        items=items,
        features=("country", "age", "colour"),
        numeric=("age",),
        views=("items",),
    )
    assert set(spec.features) == {"items"}
    assert set(decoded(spec, "items", "all")[0]) == {"id", "raw_id", "colour"}
    assert spec.vocabulary("country") == ["nl"]


def test_a_table_finds_rows_and_says_what_is_missing(write, tmp_path, monkeypatch):
    """As a view sees it on a worker: through a pickled Lookups, items without an id included."""
    import beam_jobs.pipeline as pipeline

    seen = {}
    original = pipeline._encode

    def watch(views, log, lookups, *rest):
        table: FeatureTable = pickle.loads(pickle.dumps(lookups)).item_features
        rows = table.find(pa.array([b"d", b"?", b"a"]))
        seen["rows"] = rows.tolist()
        seen["colour"] = table.columns["colour"].values[rows].tolist()
        seen["price"] = table.columns["price"].values[rows].round(1).tolist()
        offsets = table.columns["genres"].offsets
        seen["genres"] = [table.columns["genres"].values[offsets[row] : offsets[row + 1]].tolist() for row in rows]
        seen["users"] = lookups.user_features.specs, lookups.user_features.features_of(np.array([0]))
        return original(views, log, lookups, *rest)

    monkeypatch.setattr(pipeline, "_encode", watch)
    prepared(write, tmp_path)
    assert seen["rows"] == [3, 5, 0]
    assert seen["colour"] == [1, 1, 4]
    assert seen["price"] == pytest.approx([228.1, 0.0, -0.6])
    assert seen["genres"] == [[5, 1], [], [5, 4]]
    assert seen["users"] == ({}, [])


def test_faulty_rows_of_a_table_are_counted_rejects(write, tmp_path):
    rows = ITEMS + 'a,blue,Drama,1\n,red,Drama,1\ny,red,Drama,dear\nq,"r\ned",x,1\nk,red,Drama\n'
    with pytest.raises(DataError, match=r"5 rows rejected .* of 10.*First: wrong_column_count in .*items.csv, row 10"):
        prepared(write, tmp_path, rows)
    spec = prepared(write, tmp_path, rows, max_reject_share=0.5)
    assert spec.rejects == {
        "bad_number": 1,
        "duplicate_id": 1,
        "empty_id": 1,
        "forbidden_character": 1,
        "wrong_column_count": 1,
    }
    assert decoded(spec, "items", "all")[0]["colour"] == [4]
    (path,) = (spec.directory / "rejects").iterdir()
    assert path.read_text().count("items.csv") == 5


def test_any_file_type_and_a_delimiter_of_its_own(write, tmp_path):
    expected = shard_bytes(prepared(write, tmp_path))
    (tmp_path / "items.tsv").write_text(f"{HEADER}\n{ITEMS}".replace(",", "\t"))
    (tmp_path / "log.txt").write_text(f"user_id;item_id;timestamp\n{LOG}".replace(",", ";"))
    spec = run(tmp_path / "log.txt", tmp_path / "out2", items=tmp_path / "items.tsv", delimiter=";", **OPTIONS)
    assert shard_bytes(spec) == expected


@pytest.mark.parametrize(
    ("options", "header", "message"),
    [
        ({"items": "nothing.csv"}, HEADER, "--items nothing.csv matches no file"),
        ({}, "sku,colour,genres,price", "no column 'item_id'"),
        ({}, "item_id,colour,colour,price", "2 columns named 'colour'"),
        ({}, "item_id,label,genres,price", "'label' is a name that records use"),
        ({}, "item_id,a/b,genres,price", "'a/b' cannot be the name of a file"),
        ({"features": ("weight_kg",)}, HEADER, "--features names 'weight_kg'"),
        ({"numeric": ("size",)}, HEADER, "--numeric names 'size'"),
    ],
)
def test_tables_that_cannot_be_used_are_one_clear_error(write, tmp_path, options, header, message):
    table = write(ITEMS, "items.csv", header)
    kinds = {} if "a/b" in header or "colour,colour" in header else {"multi": {"genres": "|"}}
    with pytest.raises(DataError, match=message):
        run(write(LOG), tmp_path / "out", **{"items": table, **kinds, **options})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        {"numeric": ("age",)},
        {"users": "u.csv", "numeric": "age"},
        {"users": "u.csv", "numeric": ("age",), "multi": {"age": "|"}},
        {"users": "u.csv", "multi": {"tags": ""}},
        {"views": ("clicks",)},
        {"views": ()},
        {"views": "items"},
    ],
)
def test_feature_options_are_checked(tmp_path, options):
    with pytest.raises(ConfigError):
        run("log.csv", tmp_path / "out", **options)


def test_a_rerun_without_a_table_removes_its_files(write, tmp_path):
    prepared(write, tmp_path)
    spec = run(write(LOG), tmp_path / "out", partitions=2)
    assert set(tree(spec.directory)) == {"dataset.json", *(file.path for file in spec.files)}


@pytest.mark.skipif(not ML_100K.exists(), reason="ML-100K is not beside the project")
def test_ml_100k_with_both_tables(tmp_path):
    spec = run(
        ML_100K,
        tmp_path / "out",
        users=ML_100K.with_name("users.csv"),
        items=ML_100K.with_name("items.csv"),
        numeric=("age", "release_year"),
        multi={"class": " "},
        views=("sequences", "items"),
    )
    assert spec.vocabulary("class")[:2] == ["Drama", "Comedy"]
    assert spec.vocabulary("gender") == ["M", "F"]
    records = decoded(spec, "items", "all")
    assert [record["id"][0] for record in records] == list(range(4, 4 + spec.catalog_size))
    weights = np.array(spec.item_counts)
    years = np.array([record["release_year"][0] for record in records])
    assert abs((weights * years).sum() / weights.sum()) < 1e-4
    assert (weights * years**2).sum() / weights.sum() == pytest.approx(1, abs=0.01)
