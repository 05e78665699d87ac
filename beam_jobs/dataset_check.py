"""`tfrec inspect --verify`: reads every byte of a dataset and says everything that is wrong with it.

Checked are sizes, checksums, record counts and digests of all files; that vocabularies have unique lines and as many as
said; that every record has the features that dataset.json describes, with ids inside their vocabularies; that the
splits hold different events; and that no feature was computed from held-out labels.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from beam_jobs.aggregates_check import AggregatesCheck
from beam_jobs.dataset_rows import parts
from beam_jobs.example_message import decode
from beam_jobs.record_reader import read_records
from beam_jobs.split_check import SplitCheck
from tfrec_zoo.dataset_spec import DIGEST_BYTES, FIRST_ITEM_ID, OOV, DatasetSpec, FeatureSpec, FileSpec
from tfrec_zoo.errors import DataError

MOST_FAULTS = 20
"""So many are told apart; the rest is counted."""


class Faults:
    """What was found wrong, the first of each kind in words."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        """Notes one."""
        self.count += 1
        if len(self.lines) < MOST_FAULTS:
            self.lines.append(line)


def verify(spec: DatasetSpec) -> dict[str, Any]:
    """Checks a dataset.

    Args:
        spec: As `DatasetSpec.read` gave it: all files are there and have their sizes.

    Returns:
        `ok`, `files`, `records`, `bytes`, `faults` (their number), `first_faults` (the first of them in words),
        `oov_share` (view -> share of ids that are out of vocabulary) and `notes`, which are no faults.
    """
    faults, notes = Faults(), []
    records = 0
    _check_items(spec, faults)
    for file in spec.files:
        if file.view == "vocab":
            _check_vocabulary(spec, file, faults)
    oov: dict[str, float] = {}
    for view, splits in parts(spec).items():
        check = _RecordCheck(spec, view, faults)
        splits_check, aggregates_check = SplitCheck(spec, view), AggregatesCheck(spec, view)
        for split in splits:
            for file in spec.files:
                if (file.view, file.split) == (view, split):
                    records += _check_shard(spec, file, check, (splits_check, aggregates_check), faults)
        for line in splits_check.faults() + aggregates_check.faults():
            faults.add(line)
        notes += splits_check.notes()
        oov[view] = round(check.oov / max(1, check.ids), 6)
    return {
        "ok": not faults.count,
        "files": len(spec.files),
        "records": records,
        "bytes": sum(file.bytes for file in spec.files),
        "faults": faults.count,
        "first_faults": faults.lines,
        "oov_share": oov,
        "notes": notes,
    }


def _check_items(spec: DatasetSpec, faults: Faults) -> None:
    counts = np.asarray(spec.item_counts, np.int64)
    if (np.diff(counts) > 0).any():
        faults.add("dataset.json: item_counts grow with the rank; items must be ranked by their train rows")
    lines = next((file.records for file in spec.files if file.path == "vocab/item.txt"), None)
    if lines != len(counts):
        faults.add(f"dataset.json: {len(counts)} item_counts for {lines} lines of vocab/item.txt")


def _check_vocabulary(spec: DatasetSpec, file: FileSpec, faults: Faults) -> None:
    content = (spec.directory / file.path).read_bytes()
    lines = content.split(b"\n")[:-1]
    if len(lines) != file.records or (content and not content.endswith(b"\n")):
        faults.add(f"{file.path} has {len(lines)} lines, dataset.json says {file.records}")
    if hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest() != file.digest:
        faults.add(f"{file.path} is not the file that was published: its digest differs")
    twice = [line for line, count in Counter(lines).items() if count > 1]
    if twice:
        faults.add(f"{file.path} holds {twice[0].decode('utf-8', 'backslashreplace')!r} more than once")
    for features in spec.features.values():
        for name, feature in features.items():
            if feature.vocabulary == file.path and feature.cardinality != len(lines):
                faults.add(f"feature {name!r} says {feature.cardinality} values, {file.path} has {len(lines)}")


def _check_shard(
    spec: DatasetSpec,
    file: FileSpec,
    check: _RecordCheck,
    of_all_records: Sequence[SplitCheck | AggregatesCheck],
    faults: Faults,
) -> int:
    """Returns the number of its records that could be read."""
    digest, count = hashlib.blake2b(digest_size=DIGEST_BYTES), 0
    try:
        for record, checksum in read_records(spec.directory / file.path):
            digest.update(checksum.to_bytes(4, "little"))
            values = check(record, f"{file.path}, record {count}")
            if values is not None:
                for each in of_all_records:
                    each.add(file.split, values)
            count += 1
    except DataError as error:
        faults.add(str(error))
        return count
    if count != file.records:
        faults.add(f"{file.path} has {count} records, dataset.json says {file.records}")
    if digest.hexdigest() != file.digest:
        faults.add(f"{file.path} is not the file that was published: the digest of its records differs")
    return count


class _RecordCheck:
    """Compares the records of a view with its features in dataset.json."""

    def __init__(self, spec: DatasetSpec, view: str, faults: Faults) -> None:
        self.features, self.faults = spec.features.get(view, {}), faults
        self.oov = self.ids = 0

    def __call__(self, record: bytes, where: str) -> dict[str, Any] | None:
        """The values by feature; None if they could not be decoded."""
        try:
            decoded = decode(record)
        except DataError as error:
            self.faults.add(f"{where}: {error}")
            return None
        for name, (dtype, values) in decoded.items():
            feature = self.features.get(name)
            if feature is None:
                self.faults.add(f"{where}: feature {name!r} is not in dataset.json")
            elif dtype != feature.dtype:
                self.faults.add(f"{where}: feature {name!r} is {dtype}, dataset.json says {feature.dtype}")
            elif feature.shape != (-1,) and len(values) not in (0, int(np.prod(feature.shape))):
                self.faults.add(f"{where}: feature {name!r} has {len(values)} values, not {feature.shape}")
            elif isinstance(values, np.ndarray):
                self._check_values(where, name, feature, values)
        return {name: values for name, (_, values) in decoded.items()}

    def _check_values(self, where: str, name: str, feature: FeatureSpec, values: np.ndarray) -> None:
        if values.dtype == np.float32:
            if not np.isfinite(values).all():
                self.faults.add(f"{where}: feature {name!r} is not finite")
        elif feature.vocabulary and feature.cardinality is not None:
            self.ids += len(values)
            self.oov += int((values == OOV).sum())
            bad = values[(values != OOV) & ((values < FIRST_ITEM_ID) | (values >= feature.cardinality + FIRST_ITEM_ID))]
            if len(bad):
                limit = feature.cardinality + FIRST_ITEM_ID - 1
                self.faults.add(
                    f"{where}: feature {name!r} holds the id {bad[0]}; ids are 1 or {FIRST_ITEM_ID}-{limit}"
                )
