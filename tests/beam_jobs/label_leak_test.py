"""No feature is computed from held-out labels; a leak that is planted is caught by `tfrec inspect --verify`."""

import hashlib
import json
from collections.abc import Callable, MutableMapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from beam_jobs.dataset_check import verify
from beam_jobs.record_reader import read_records
from tests.beam_jobs.conftest import run
from tests.beam_jobs.interactions_splits_test import HEADER, log, text
from tests.beam_jobs.interactions_test import rows
from tfrec_zoo.dataset_spec import DIGEST_BYTES, DatasetSpec

OPTIONS = {"views": ("interactions", "items"), "label": "rating > 3", "drop": "rating == 3", "partitions": 2}
HELD_OUT = ("valid", "test")

Features = MutableMapping[str, tf.train.Feature]


@pytest.mark.parametrize("split", ["random", "temporal"])
def test_other_labels_of_held_out_rows_change_no_feature(write, tmp_path, split):
    options = {**OPTIONS, "split": split, "test_share": 0.2}
    before = run(write(text(log()), "log.csv", HEADER), tmp_path / "before", **options)
    held_out = {(row["user"], row["time"]) for part in HELD_OUT for row in rows(before, part)}
    turned = [
        (user, item, time, 6 - rating if (user, time) in held_out else rating) for user, item, time, rating in log()
    ]
    after = run(write(text(turned), "turned.csv", HEADER), tmp_path / "after", **options)
    for part in ("train", *HELD_OUT):
        one, other = (sorted(rows(spec, part), key=lambda row: row["time"]) for spec in (before, after))
        labels = [[(row.pop("label"), row.pop("rating"))[0] for row in found] for found in (one, other)]
        assert one == other
        assert labels[1] == (labels[0] if part == "train" else [1 - label for label in labels[0]])


def plant(data: Path, split: str, change: Callable[[Features], None]) -> int:
    """Changes the numbers of a split's rows, with digests that agree, and returns how many rows that are."""
    content = json.loads((data / "dataset.json").read_text())
    changed = 0
    for file in content["files"]:
        if (file["view"], file["split"]) != ("interactions", split):
            continue
        path = data / file["path"]
        examples = [tf.train.Example.FromString(record) for record, _ in read_records(path)]
        for example in examples:
            was = example.SerializeToString(deterministic=True)
            change(example.features.feature)
            changed += was != example.SerializeToString(deterministic=True)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for example in examples:
                writer.write(example.SerializeToString(deterministic=True))
        checksums = b"".join(checksum.to_bytes(4, "little") for _, checksum in read_records(path))
        file["digest"] = hashlib.blake2b(checksums, digest_size=DIGEST_BYTES).hexdigest()
        file["bytes"] = path.stat().st_size
    (data / "dataset.json").write_text(json.dumps(content))
    return changed


def with_own_label(group: str) -> Callable[[Features], None]:
    """Counts a row among those that its mean label is of."""

    def change(values: Features) -> None:
        count, label = values[f"{group}_count"].int64_list.value[0], values["label"].int64_list.value[0]
        mean = values[f"{group}_mean_label"].float_list
        mean.value[0] = np.float32((mean.value[0] * count + label) / (count + 1))

    return change


@pytest.mark.parametrize("group", ["user", "item"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_planted_leak_is_caught(write, tmp_path, split, group):
    data = tmp_path / "out"
    run(write(text(log()), "log.csv", HEADER), data, split="random", test_share=0.2, **OPTIONS)
    assert verify(DatasetSpec.read(data))["first_faults"] == []
    changed = plant(data, split, with_own_label(group))
    assert changed > 20
    said = "other train rows" if split == "train" else "train rows: it knows held-out labels"
    assert verify(DatasetSpec.read(data))["first_faults"] == [
        f"interactions/{split}: {group}_mean_label of {changed} rows is not that of the {said}"
    ]
