"""`tfrec augment` as a function: a dataset of fake histories, on which any model of the zoo can be trained.

    train histories -> fake ones (fake_histories.py) -> sequences/generated-*
                    -> rows with spliced features (fake_rows.py) -> interactions/generated-*
    vocabularies, items, valid, test -> copied as they are; the real train shards too, where they are wanted

The directory is built under another name and renamed when it is whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from tfrec_zoo.augmentation.fake_histories import AugmentationOptions, HistoryForger
from tfrec_zoo.augmentation.fake_records import history_record
from tfrec_zoo.augmentation.fake_rows import ITEMS, RowSplicer
from tfrec_zoo.augmentation.fake_rows import VIEW as INTERACTIONS
from tfrec_zoo.augmentation.gap_filling import GapFiller
from tfrec_zoo.augmentation.variety import Variety, warnings
from tfrec_zoo.data.sequences import TRAIN, TRAIN_AND_VALID
from tfrec_zoo.data.shard_writer import ShardWriter
from tfrec_zoo.dataset_spec import GENERATED_USER, DatasetSpec, FileSpec, GeneratedSpec
from tfrec_zoo.errors import DataError
from tfrec_zoo.evaluation.provenance import check_same_split
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.run_directory import RunDirectory

_SEQUENCES = "sequences"
_VIEWS = (_SEQUENCES, INTERACTIONS, ITEMS)
_GENERATED = "generated"
_VOCABULARIES = ("vocab/item.txt", "vocab/user.txt")


def augment(
    run: str | os.PathLike[str],
    data: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    gaps: str | os.PathLike[str] | None = None,
    keep_real: bool = False,
    options: AugmentationOptions | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Writes a dataset whose train records a generator has written, with the real valid and test.

    The same arguments give the same bytes.

    Args:
        run: Run directory of a generator that was trained on `data`.
        data: The dataset directory; with the view interactions it needs items too. Other views are left out.
        output: The new dataset directory; it must not exist.
        gaps: Run directory of a model that fills gaps (peterrec with causal=false, bert4rec); None: no gaps.
        keep_real: Keep the real train records beside the fake ones.
        options: How fake histories are made.
        quiet: No progress, and no warnings on stderr.

    Returns:
        "output", "model", "histories", "made_items", "rows" (of interactions), "distinct_2", "entropy" (nats) and
        "real_distinct_2", "real_entropy" beside them, "warnings", "seconds".

    Raises:
        ConfigError: Not a run, or one of a model that does not generate or fill gaps.
        DataError: The dataset lacks a view, is itself generated, or is not the one that the run was trained on; the
            output exists or cannot be written.
    """
    start = time.perf_counter()
    options = options or AugmentationOptions()
    output = Path(output)
    _check_output(output, Path(data))
    spec = DatasetSpec.read(data)
    _check_real(spec)
    generator = _model_of(run, spec)
    filler = None
    if gaps is not None:
        filler = GapFiller(_model_of(gaps, spec), options.temperature, options.top_p, options.no_repeats)
    forger = HistoryForger(spec, generator, filler, options)
    splicer = RowSplicer(spec, options.seed) if INTERACTIONS in spec.features else None
    with _built_aside(output) as folder:
        files = _copy(spec, folder, keep_real)
        counts, figures, written = _write(spec, folder, forger, splicer, options, quiet)
        described = {**dataclasses.asdict(options), "gaps": _identity(gaps), "run": _identity(run)}
        if filler is None:
            del described["gap_share"]
        dataclasses.replace(
            spec,
            features={view: spec.features[view] for view in _VIEWS if view in spec.features},
            files=tuple(sorted([*files, *written], key=lambda file: (file.view == "vocab", file.view, file.split))),
            target=None,
            generated=GeneratedSpec(
                generator.name_in_zoo, keep_real, {view: counts[view] for view in counts if view in _VIEWS}, described
            ),
        ).write(folder)
    found = warnings(figures)
    if not quiet:
        for line in found:
            print(f"warning: {line}", file=sys.stderr)
    return {
        "output": str(output),
        "model": generator.name_in_zoo,
        "histories": counts[_SEQUENCES],
        "made_items": counts["made_items"],
        "rows": counts.get(INTERACTIONS, 0),
        **figures,
        "warnings": found,
        "seconds": round(time.perf_counter() - start, 2),
    }


def _write(
    spec: DatasetSpec,
    folder: Path,
    forger: HistoryForger,
    splicer: RowSplicer | None,
    options: AugmentationOptions,
    quiet: bool,
) -> tuple[dict[str, int], dict[str, float], list[FileSpec]]:
    """Writes the generated shards: what was counted, how varied it is, rows of dataset.json."""
    compression = str(spec.options.get("compression", "none"))
    max_length = int(spec.options.get("max_length", 200))
    train_only = "train_only" in spec.features[_SEQUENCES]
    counts, variety = {_SEQUENCES: 0, "made_items": 0}, Variety()
    sequences = ShardWriter(folder, _SEQUENCES, _GENERATED, compression)
    rows = ShardWriter(folder, INTERACTIONS, _GENERATED, compression, options.seed) if splicer else None
    if rows:
        counts[INTERACTIONS] = 0
    console = Console(stderr=True, quiet=quiet)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        task = progress.add_task("fake histories", total=round(options.share * spec.records(_SEQUENCES, TRAIN)))
        for history in forger:
            sequences.write(history_record(history, max_length, train_only))
            for row in splicer.rows(history) if splicer else ():
                assert rows is not None
                rows.write(row)
                counts[INTERACTIONS] += 1
            variety.add(history)
            counts[_SEQUENCES] += 1
            counts["made_items"] += int(history.made.sum())
            progress.advance(task)
    if not counts[_SEQUENCES]:
        raise DataError(f"{spec.directory}: no fake history came of its {_SEQUENCES}/{TRAIN}; raise --share.")
    # Where a refit reads shards of its own, it reads the fake histories from there too.
    refitted = (TRAIN_AND_VALID,) if spec.records(_SEQUENCES, TRAIN_AND_VALID) else ()
    files = sequences.finish(TRAIN, *refitted)
    return counts, variety.figures(), [*files, *(rows.finish(TRAIN) if rows else ())]


def _copy(spec: DatasetSpec, folder: Path, keep_real: bool) -> list[FileSpec]:
    """Copies what stays real."""
    vocabularies = {
        feature.vocabulary for view in _VIEWS for feature in spec.features.get(view, {}).values() if feature.vocabulary
    }
    kept = []
    for file in spec.files:
        is_train = file.split in (TRAIN, TRAIN_AND_VALID)
        if file.path in vocabularies.union(_VOCABULARIES) or (file.view in _VIEWS and (keep_real or not is_train)):
            (folder / file.path).parent.mkdir(exist_ok=True)
            shutil.copyfile(spec.directory / file.path, folder / file.path)
            kept.append(file)
    return kept


def _model_of(run: str | os.PathLike[str], spec: DatasetSpec) -> Recommender:
    directory = RunDirectory.open(run)
    model = directory.load_model(spec)
    # Another split's train part may hold the targets of this one, and they would be written into its train part.
    check_same_split(directory, spec)
    return model


def _identity(run: str | os.PathLike[str] | None) -> str | None:
    """How a run is named in dataset.json: by its folder alone, so that a copy elsewhere writes the same bytes."""
    return None if run is None else Path(run).resolve().name


def _check_output(output: Path, data: Path) -> None:
    if output.resolve() == data.resolve():
        raise DataError(f"--output {output} is the dataset itself: choose another directory.")
    if output.exists():
        raise DataError(f"--output {output} exists: choose another directory, or remove it.")


def _check_real(spec: DatasetSpec) -> None:
    if spec.generated:
        raise DataError(f"{spec.directory} is generated itself (by {spec.generated.model}): give the real dataset.")
    if _SEQUENCES not in spec.features:
        raise DataError(
            f"{spec.directory} has no view {_SEQUENCES}, which fake histories begin with (it has "
            f"{', '.join(sorted(spec.features))}): run `tfrec prepare` with --views "
            f"{','.join([_SEQUENCES, *sorted(spec.features)])}."
        )
    taken = [user for user in spec.vocabulary("user") if user.startswith(GENERATED_USER)]
    if taken:
        raise DataError(
            f"{spec.directory} has a user {taken[0]!r}, but ids that begin with {GENERATED_USER!r} mark generated "
            "users: rename it in the log and run `tfrec prepare` again."
        )


@contextlib.contextmanager
def _built_aside(output: Path) -> Iterator[Path]:
    """A folder beside the output that becomes it, or leaves no trace."""
    folder = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"--output {output} cannot be written: {error.strerror}. Choose another directory.") from error
    try:
        yield folder
        try:
            folder.rename(output)
        except OSError as error:
            raise DataError(f"--output {output} came to exist meanwhile: choose another directory.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
