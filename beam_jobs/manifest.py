"""Publishing: a scratch folder that becomes a dataset, or leaves no trace.

The order keeps an earlier dataset in the same folder readable until the new one is complete:

1. All work happens in DATA/.prepare-*; a failure removes it and nothing else has changed.
2. Shards and rejects move to names that carry a digest of the new dataset's content, so that they never replace a
   different file: `sequences/train-00000-of-00008-1f2e3d4c5b.tfrecord`.
3. vocab/*.txt, whose names the contract fixes, and at once dataset.json are renamed into place.
4. Files of earlier runs are removed.

Between the renames of step 3 lies a window of well under a millisecond in which the old dataset.json stands beside the
new vocabulary. dataset.json therefore lists the vocabulary files with their sizes and digests (view "vocab"), which
`DatasetSpec` checks: a reader in that window, or after a crash in it, is refused and never gets wrong names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from beam_jobs.shards import Shard
from beam_jobs.views import VIEWS
from tfrec_zoo.dataset_spec import DIGEST_BYTES, MANIFEST, DatasetSpec, FileSpec, shard_path
from tfrec_zoo.errors import DataError

REJECTS = "rejects"
_SCRATCH = ".prepare-"
_VOCABULARY = re.compile(r"vocab/[^/]+\.txt")
_OURS = re.compile(r"[a-z+]+-\d{5}-of-\d{5}-[0-9a-f]{10}\.tfrecord(\.gz)?|rejects-[0-9a-f]{10}\.jsonl")


@contextlib.contextmanager
def scratch_folder(output: Path) -> Iterator[Path]:
    """A hidden folder in the dataset directory, gone afterwards; no second job may write there meanwhile.

    Raises:
        DataError: The directory cannot be made or written, or another job is writing to it.
    """
    existed = output.exists()
    try:
        output.mkdir(parents=True, exist_ok=True)
        lock = os.open(output, os.O_RDONLY)
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"another prepare job is writing to {output}: wait for it to end.") from error
        for stale in output.glob(f"{_SCRATCH}*"):
            shutil.rmtree(stale, ignore_errors=True)
        try:
            scratch = Path(tempfile.mkdtemp(prefix=_SCRATCH, dir=output))
        except OSError as error:
            raise _unwritable(output, error) from error
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        if not existed:
            with contextlib.suppress(OSError):
                output.rmdir()
        os.close(lock)


def _unwritable(output: Path, error: OSError) -> DataError:
    return DataError(f"--output {output} cannot be written: {error.strerror}. Choose another directory.")


def publish(
    spec: DatasetSpec, output: Path, shards: Sequence[Shard], vocabularies: Mapping[str, Path], rejects: Path | None
) -> DatasetSpec:
    """Moves the files of a finished job into place, dataset.json last, and removes those of earlier runs.

    Args:
        spec: All of dataset.json but `files`.
        output: The dataset directory.
        shards: Under their temporary names.
        vocabularies: Feature -> file of one value a line, under its temporary name.
        rejects: File of refused rows, or None.

    Returns:
        The spec as it was written.
    """
    digest = _digest(shards, vocabularies)
    files = []
    groups: dict[tuple[str, str], list[Shard]] = {}
    for shard in sorted(shards, key=lambda shard: shard.number):
        groups.setdefault((shard.view, shard.split), []).append(shard)
    for (view, split), group in sorted(groups.items()):
        (output / view).mkdir(exist_ok=True)
        # Empty shards were not written; the others are numbered without gaps.
        for number, shard in enumerate(group):
            name = shard_path(view, split, number, len(group), digest, spec.options["compression"])
            Path(shard.path).replace(output / name)
            files.append(FileSpec(name, view, split, shard.records, shard.bytes, shard.digest))
    keep = {file.path for file in files}
    if rejects is not None:
        (output / REJECTS).mkdir(exist_ok=True)
        name = f"{REJECTS}/rejects-{hashlib.blake2b(rejects.read_bytes(), digest_size=5).hexdigest()}.jsonl"
        rejects.replace(output / name)
        keep.add(name)
    (output / "vocab").mkdir(exist_ok=True)
    for feature, path in vocabularies.items():
        content = path.read_bytes()
        lines, digest_of_file = content.count(b"\n"), hashlib.blake2b(content, digest_size=DIGEST_BYTES).hexdigest()
        files.append(FileSpec(f"vocab/{feature}.txt", "vocab", feature, lines, len(content), digest_of_file))
    complete = dataclasses.replace(spec, files=tuple(files))
    stale = _listed_vocabularies(output) - {file.path for file in files}
    for feature, path in vocabularies.items():
        path.replace(output / "vocab" / f"{feature}.txt")
    complete.write(output)
    _remove_stale(output, keep, stale)
    return complete


def _digest(shards: Sequence[Shard], vocabularies: Mapping[str, Path]) -> str:
    """Ten hex digits that name this content: a rerun with another outcome gets other file names."""
    digest = hashlib.blake2b(digest_size=5)
    for shard in sorted(shards):
        digest.update(f"{shard.view} {shard.split} {shard.number} {shard.records} {shard.digest}\n".encode())
    for _, path in sorted(vocabularies.items()):
        digest.update(hashlib.blake2b(path.read_bytes()).digest())
    return digest.hexdigest()


def _listed_vocabularies(output: Path) -> set[str]:
    """Vocabulary files of the dataset that is there, if it can be read."""
    try:
        files = json.loads((output / MANIFEST).read_text(encoding="utf-8"))["files"]
        return {file["path"] for file in files if file["view"] == "vocab" and _VOCABULARY.fullmatch(file["path"])}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remove_stale(output: Path, keep: set[str], stale: set[str]) -> None:
    """Removes what earlier runs, finished or killed, left behind; files with other names are somebody else's."""
    for name in stale:
        (output / name).unlink(missing_ok=True)
    for folder in (*VIEWS, REJECTS):
        for path in (output / folder).glob("*"):
            if _OURS.fullmatch(path.name) and f"{folder}/{path.name}" not in keep:
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (output / folder).rmdir()
