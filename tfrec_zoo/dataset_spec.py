"""dataset.json as dataclasses: the contract between the Beam jobs, training and export.

The one module that all packages share; standard library only, so that Beam workers and clients stay light.

    DATA/dataset.json            written last and atomically: nothing without it is a dataset
    DATA/vocab/<feature>.txt     one raw value a line, most frequent in train first
    DATA/<view>/<split>-*        TFRecord shards, listed in dataset.json with their record counts and sizes
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfrec_zoo.errors import DataError

FORMAT_VERSION = 2
MANIFEST = "dataset.json"

PAD, OOV, MASK, CLS = 0, 1, 2, 3
FIRST_ITEM_ID = 4
"""Ids below this are reserved; line n (0-based) of vocab/item.txt is the item with id n + FIRST_ITEM_ID."""

GENERATED_USER = "generated:"
"""How the raw ids of users begin that a generator made up."""

DIGEST_BYTES = 16
"""Of `FileSpec.digest`."""


def shard_path(view: str, name: str, number: int, count: int, digest: str, compression: str) -> str:
    """Path of a shard relative to its dataset: `sequences/train-00000-of-00008-1f2e3d4c5b.tfrecord`.

    Args:
        view: Of which view.
        name: Its split, or what else it is.
        number: Which, from 0,
        count: of how many.
        digest: Of the content, so that a shard never replaces a different one that somebody reads.
        compression: "none" or "gzip".
    """
    suffix = ".tfrecord.gz" if compression == "gzip" else ".tfrecord"
    return f"{view}/{name}-{number:05d}-of-{count:05d}-{digest}{suffix}"


@dataclasses.dataclass(frozen=True)
class FeatureSpec:
    """One feature of a view's records.

    Attributes:
        dtype: "bytes", "int64" or "float32": the list type of the tf.train.Feature.
        shape: Values a record; -1 where records differ. `(1,)` is a scalar feature.
        vocabulary: File of raw values relative to the dataset, or None for a feature that needs no look-up.
        cardinality: Lines of the vocabulary; None without one.
        entity: "user" or "item" for a feature of those, from `tfrec prepare --users` and `--items`.
        mean: What was subtracted from a number, and
        deviation: what it was then divided by (unless it is 0): both are of the train rows. None: not scaled.
    """

    dtype: str
    shape: tuple[int, ...]
    vocabulary: str | None = None
    cardinality: int | None = None
    entity: str | None = None
    mean: float | None = None
    deviation: float | None = None


@dataclasses.dataclass(frozen=True)
class FileSpec:
    """One shard: its path relative to the dataset, what it holds, and what to check before it is read.

    Attributes:
        path, view, split: Vocabularies are listed too, as view "vocab".
        records, bytes: Records, or lines of a vocabulary, and the size of the file.
        digest: Hex BLAKE2b-128 of the records' masked CRC32C in their order; of a vocabulary: of its bytes.
    """

    path: str
    view: str
    split: str
    records: int
    bytes: int
    digest: str


@dataclasses.dataclass(frozen=True)
class SplitSpec:
    """How train, valid and test were cut.

    Attributes:
        protocol: "leave-one-out" or another of `tfrec prepare --split`.
        hash: Hex digest over every held-out (user, item, time): equal hashes mean equal splits.
        details: Where it was cut: moments of "temporal", shares and seed of "user" and "random".
    """

    protocol: str
    hash: str
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class TargetSpec:
    """The target domain of the view `transfer`: another log, with items of its own in vocab/target_item.txt.

    Attributes:
        item_counts: Train interactions of every item of its vocabulary, by rank (never increasing).
        users, items, interactions: Of the whole accepted target log.
        common_users: Users that the source log knows too.
        split: Of the target log.
    """

    item_counts: Sequence[int]
    users: int
    items: int
    interactions: int
    common_users: int
    split: SplitSpec


@dataclasses.dataclass(frozen=True)
class GeneratedSpec:
    """The part of the train records that no user left: a generator wrote them (`tfrec augment`).

    Their users' raw ids begin with `GENERATED_USER`. Everything else, vocabularies, counts, means, valid and test, is
    that of the real log.

    Attributes:
        model: Name of the generator in the zoo.
        real: Whether the real train records are there too.
        records: View -> generated train records.
        options: Of `tfrec augment`, enough to run it again.
    """

    model: str
    real: bool
    records: Mapping[str, int]
    options: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """Everything a reader may know of a dataset without opening a shard.

    Attributes:
        features: View -> feature name -> FeatureSpec.
        item_counts: Train interactions of every item of the vocabulary, by rank (never increasing).
        users, items, interactions: Of what the filters left of the accepted log, before the split.
        split: The split protocol and its hash.
        files: Every shard of every view.
        rejects: Reason -> number of refused rows.
        dropped: Filter -> number of accepted rows that it dropped before the split.
        options: The job's options, enough to run it again.
        target: The target domain, if there is one.
        generated: What of the train records is generated; None: nothing.
        format_version: Layout of the directory; readers refuse any other than `FORMAT_VERSION`.
        directory: Where the dataset lies; not part of dataset.json.
    """

    features: Mapping[str, Mapping[str, FeatureSpec]]
    item_counts: Sequence[int]
    users: int
    items: int
    interactions: int
    split: SplitSpec
    files: Sequence[FileSpec]
    rejects: Mapping[str, int]
    options: Mapping[str, Any]
    dropped: Mapping[str, int] = dataclasses.field(default_factory=dict)
    target: TargetSpec | None = None
    generated: GeneratedSpec | None = None
    format_version: int = FORMAT_VERSION
    directory: Path = dataclasses.field(default=Path(), compare=False)

    @property
    def catalog_size(self) -> int:
        """Number of items with an id of their own: the columns of a score matrix."""
        return len(self.item_counts)

    @classmethod
    def read(cls, directory: str | os.PathLike[str]) -> DatasetSpec:
        """Reads dataset.json and checks that every listed file is there and as long as it says.

        Raises:
            DataError: Not a dataset, another format version, or a listed file is missing or has another size.
        """
        directory = Path(directory)
        path = directory / MANIFEST
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(
                f"{directory} is not a dataset: it has no {MANIFEST}. Make one with `tfrec prepare --input LOG.csv "
                f"--output {directory}`."
            ) from None
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read ({error}). Run `tfrec prepare` again.") from error
        version = content.get("format_version") if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise DataError(
                f"{path} has format version {version}, this tfrec-zoo reads "
                f"{FORMAT_VERSION}. Run `tfrec prepare` again."
            )
        try:
            spec = cls._from_json(content, directory)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path} is damaged: {error!r}. Run `tfrec prepare` again.") from error
        spec._check_files()
        return spec

    def write(self, directory: str | os.PathLike[str]) -> None:
        """Publishes dataset.json: written to a temporary name, synced, then renamed."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del content["directory"]
        path = Path(directory) / MANIFEST
        temporary = path.with_name(f".{MANIFEST}.{os.getpid()}")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True, default=dataclasses.asdict)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)

    def paths(self, view: str, split: str) -> list[str]:
        """Absolute paths of the shards of one view and split, in order.

        Raises:
            DataError: The dataset has no such view or split.
        """
        found = [str(self.directory / file.path) for file in self.files if (file.view, file.split) == (view, split)]
        if not found:
            have = ", ".join(sorted({f"{file.view}/{file.split}" for file in self.files})) or "nothing"
            raise DataError(f"{self.directory} holds no {view}/{split} (it has {have}).")
        return found

    def records(self, view: str, split: str) -> int:
        """Number of records of one view and split; 0 when it has none."""
        return sum(file.records for file in self.files if (file.view, file.split) == (view, split))

    def vocabulary_path(self, feature: str) -> Path:
        """File with the raw values of "item", "user" or another feature with a vocabulary."""
        return self.directory / "vocab" / f"{feature}.txt"

    def vocabulary(self, feature: str) -> list[str]:
        """Raw values in the order of their ids, the first with id `FIRST_ITEM_ID` for items.

        Raises:
            DataError: The file is not the one of this dataset.
        """
        text = self._vocabulary_content(feature).decode()
        return text.removesuffix("\n").split("\n") if text else []

    def vocabulary_hash(self, feature: str) -> str:
        """Hex SHA-256 of a vocabulary: a model fits the datasets with the item vocabulary that it was trained on.

        Raises:
            DataError: The file is not the one of this dataset.
        """
        return hashlib.sha256(self._vocabulary_content(feature)).hexdigest()

    def _vocabulary_content(self, feature: str) -> bytes:
        """Bytes of a vocabulary, checked: its name is fixed, so a job that publishes anew puts another file there."""
        path = self.vocabulary_path(feature)
        listed = next((file for file in self.files if (file.view, file.split) == ("vocab", feature)), None)
        if listed is None:
            raise DataError(f"{self.directory} has no vocabulary of {feature!r}.")
        content = path.read_bytes()
        if hashlib.blake2b(content, digest_size=len(listed.digest) // 2).hexdigest() != listed.digest:
            raise DataError(
                f"{path} is not the file that {MANIFEST} lists: `tfrec prepare` is publishing a new dataset there, or "
                "was killed while it did. Read the dataset again, or run `tfrec prepare` again."
            )
        return content

    @classmethod
    def _from_json(cls, content: dict[str, Any], directory: Path) -> DatasetSpec:
        features = {
            view: {
                name: FeatureSpec(**{**feature, "shape": tuple(feature["shape"])}) for name, feature in features.items()
            }
            for view, features in content["features"].items()
        }
        target = content.get("target")
        if target is not None:
            target = TargetSpec(**{**target, "split": SplitSpec(**target["split"])})
        generated = content.get("generated")
        return cls(
            **{
                **content,
                "features": features,
                "target": target,
                "generated": generated and GeneratedSpec(**generated),
                "split": SplitSpec(**content["split"]),
                "files": tuple(FileSpec(**file) for file in content["files"]),
                "directory": directory,
            }
        )

    def _check_files(self) -> None:
        for file in self.files:
            path = self.directory / file.path
            size = path.stat().st_size if path.is_file() else None
            if size != file.bytes:
                state = "is missing" if size is None else f"has {size} bytes"
                raise DataError(
                    f"{path} {state}, {MANIFEST} says {file.bytes} bytes. The dataset is "
                    "damaged: run `tfrec prepare` again."
                )
