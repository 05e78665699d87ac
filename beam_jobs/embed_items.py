"""`tfrec embed-items`: an exported item tower run over a catalogue of any size.

    DATA/items/*.tfrecord -> raw features -> signature `encode_items` of a SavedModel -> VECTORS/vectors-*.tfrecord

`tfrec export` keeps the vectors of its own catalogue in the version; this is for catalogues beyond one machine, and for
indexes of other makes. An element is a shard of the view `items`. TensorFlow is imported on the workers alone, and the
model loaded once for each of them.

    VECTORS/vectors-00000-of-00004.tfrecord   tf.train.Examples of `raw_id` bytes[1] and `vector` float[dim], by item id
    VECTORS/vectors.json                      items, dim, the SavedModel and the files; written last
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.transforms.combiners import ToListCombineFn

from beam_jobs.embed_options import EmbedOptions
from beam_jobs.encode import Feature, encode_examples, pack
from beam_jobs.meter import Meter
from beam_jobs.raw_items import ITEM, RawItems
from beam_jobs.record_reader import read_records
from beam_jobs.runners import run_pipeline
from beam_jobs.tfrecord import frame
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import DataError

SIGNATURE, VECTORS, MANIFEST = "encode_items", "vectors", "vectors.json"


class Work(NamedTuple):
    """One element: a shard of items, and the file of its vectors."""

    items: str
    vectors: str


class Written(NamedTuple):
    """What became of an element.

    Attributes:
        items: Number of vectors.
        dim: Their width.
        problem: What a user can act on, instead of vectors.
    """

    items: int
    dim: int
    problem: str = ""


def embed_items(options: EmbedOptions) -> dict[str, Any]:
    """Writes the vectors of a dataset's items.

    Returns:
        `items`, `dim`, `shards`, `seconds`, `rows_per_s`, `cpu_s`, `peak_rss_mib`.

    Raises:
        DataError: Not a dataset with the view `items`, not a model with the signature, items without a feature that it
            reads, or an output that holds vectors already or cannot be written.
    """
    meter, output = Meter(), Path(options.output)
    paths = DatasetSpec.read(options.data).paths("items", "all")
    if not (Path(options.saved_model) / "saved_model.pb").is_file():
        raise DataError(
            f"{options.saved_model} is no version of an exported model: name one, as in saved_models/dssm/1."
        )
    if (output / MANIFEST).exists():
        raise DataError(f"{output} holds vectors already. Choose another --output.")
    names = [f"{VECTORS}-{number:05d}-of-{len(paths):05d}.tfrecord" for number in range(len(paths))]
    works = [Work(path, str(output / name)) for path, name in zip(paths, names, strict=True)]
    outcome = output / f".{os.getpid()}.outcome"
    try:
        output.mkdir(parents=True, exist_ok=True)
        try:
            written = run_pipeline(EmbedShards(works, options), outcome, options.runner_choice)
        finally:
            outcome.unlink(missing_ok=True)
        for each in written:
            if each.problem:
                raise DataError(each.problem)
        figures = {"items": sum(each.items for each in written), "dim": written[0].dim}
        content = {**figures, "saved_model": options.saved_model, "data": options.data, "files": names}
        _replace(output / MANIFEST, json.dumps(content, indent=1).encode() + b"\n")
    except OSError as error:
        raise DataError(f"{output} cannot be written: {error}") from error
    return {**figures, "shards": len(names), **meter.figures(figures["items"])}


class EmbedShards(beam.PTransform):
    """PBegin -> one element, a list of `Written`.

    Args:
        works: What to do.
        options: The model, the dataset and the size of a batch.
    """

    def __init__(self, works: Sequence[Work], options: EmbedOptions) -> None:
        super().__init__()
        self.works, self.options = works, options

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        embed = EmbedShard(self.options.saved_model, RawItems(self.options.data), self.options.batch_size)
        return (
            begin
            | "Shards of items" >> beam.Create(self.works)
            | "Spread" >> beam.Reshuffle()
            | "Embed" >> beam.ParDo(embed)
            | "Gather" >> beam.CombineGlobally(ToListCombineFn())
        )


class EmbedShard(beam.DoFn):
    """Work -> Written: encodes a shard of items and writes their vectors.

    Args:
        saved_model: Directory of the version.
        items: Reads records back to raw features.
        batch_size: Items that are encoded at once.
    """

    def __init__(self, saved_model: str, items: RawItems, batch_size: int) -> None:
        self.saved_model, self.items, self.batch_size = saved_model, items, batch_size

    def setup(self) -> None:
        """Loads the model, in the way of TensorFlow Serving: a Session needs neither Keras nor this project."""
        import tensorflow as tf

        # Of the loader it says that it is deprecated; its successor would not run as TensorFlow Serving does.
        tf.get_logger().setLevel("ERROR")
        self._session = tf.compat.v1.Session(graph=tf.Graph())
        with self._session.graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(self._session, ["serve"], self.saved_model)
        self._signature = loaded.signature_def.get(SIGNATURE)

    def teardown(self) -> None:
        """Frees the model."""
        self._session.close()

    def process(self, work: Work) -> Iterator[Written]:
        problem = self._problem()
        if problem:
            yield Written(0, 0, problem)
            return
        records = (record for record, _ in read_records(Path(work.items)))
        items = dim = 0
        temporary = Path(f"{work.vectors}.{os.getpid()}")
        with temporary.open("wb") as file:
            while batch := list(itertools.islice(records, self.batch_size)):
                columns = self.items.columns(batch, [ITEM, *self._signature.inputs])
                vectors = self._encode(columns)
                file.write(frame(_examples(columns[ITEM], vectors))[0])
                items, dim = items + len(vectors), vectors.shape[1]
        temporary.replace(work.vectors)
        yield Written(items, dim)

    def _problem(self) -> str:
        if self._signature is None:
            return (
                f"{self.saved_model} has no signature {SIGNATURE}: those models of the zoo have it whose items have "
                "vectors, such as dssm."
            )
        missing = sorted(set(self._signature.inputs) - set(self.items.features))
        if missing:
            return (
                f"{self.items.data}: items have no feature {missing[0]!r}, which {self.saved_model} reads; they have "
                f"{', '.join(self.items.features)}."
            )
        return ""

    def _encode(self, columns: Mapping[str, np.ndarray]) -> np.ndarray:
        feed = {info.name: columns[alias] for alias, info in self._signature.inputs.items()}
        return self._session.run(self._signature.outputs["vectors"].name, feed)


def _examples(raw_ids: np.ndarray, vectors: np.ndarray) -> pa.LargeBinaryArray:
    place, dim = np.arange(len(vectors)), vectors.shape[1]
    ids = pack(pa.array(raw_ids.tolist(), pa.binary()))
    return encode_examples(
        [
            Feature("raw_id", ids, place, place + 1),
            Feature("vector", pack(vectors.ravel()), place * dim, (place + 1) * dim),
        ]
    )


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)
