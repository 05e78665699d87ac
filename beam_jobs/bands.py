"""Numbers of a feature table -> bands, as categories of their own: ages to age bands."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from beam_jobs.feature_reader import CATEGORY, RawFeatures
from tfrec_zoo.errors import DataError


def band_name(column: str) -> str:
    """The feature that holds the bands of a column."""
    return f"{column}_band"


def add_bands(table: RawFeatures, cuts: Mapping[str, Sequence[float]]) -> RawFeatures:
    """Adds a category for each of its columns that has cuts; a missing number stays missing.

    Args:
        table: Checked features.
        cuts: Column of numbers -> ascending cuts; a number at a cut is in the band above it.

    Raises:
        DataError: The name of the bands is taken.
    """
    columns, kinds = dict(table.columns), dict(table.kinds)
    for name, edges in cuts.items():
        if name not in table.kinds:
            continue
        if band_name(name) in kinds:
            raise DataError(
                f"--bands {name} makes the feature {band_name(name)!r}, which is there: rename that column."
            )
        numbers = columns[name].to_numpy(zero_copy_only=False)
        bands = pa.array(np.searchsorted(np.array(edges), numbers, side="right"), mask=np.isnan(numbers))
        columns[band_name(name)] = pa.array(_labels(edges), pa.binary()).take(bands).fill_null(b"")
        kinds[band_name(name)] = CATEGORY
    return table._replace(columns=columns, kinds=kinds)


def _labels(edges: Sequence[float]) -> list[bytes]:
    r"""Names of the bands.

    Example:
        >>> _labels([18, 24.5])
        [b'(-inf,18)', b'[18,24.5)', b'[24.5,inf)']
    """
    texts = ["-inf", *(f"{edge:g}" for edge in edges), "inf"]
    return [f"{'[' if n else '('}{low},{high})".encode() for n, (low, high) in enumerate(itertools.pairwise(texts))]
