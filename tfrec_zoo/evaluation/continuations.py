"""Ranking by continuations: `tfrec evaluate` ranks as the signature `generate_filtered` does."""

from __future__ import annotations

import re
from typing import Any

import tensorflow as tf

from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.continuations import Draws, rank_by_continuations
from tfrec_zoo.models.recommender import GENERATES, Recommender
from tfrec_zoo.preprocessing.history import seed_of


class ContinuationScorer:
    """Scores the catalogue by how often and how early items come in continuations that a model draws.

    A history is its own seed: the same one is continued alike, whatever else is in the batch.

    Args:
        model: It generates.
        n: Continuations of each history.
        length: Items of each.
        options: `temperature`, `top_p` and `no_repeats` of `Draws.alike`.

    Raises:
        ConfigError: The model does not generate.
    """

    def __init__(self, model: Recommender, n: int, length: int, **options: Any) -> None:
        if GENERATES not in model.capabilities:
            raise ConfigError(f"{model.name_in_zoo} generates nothing; leave --continuations out.")
        self._model, self._n, self._length, self._options = model, n, length, options

    @classmethod
    def parse(cls, text: str, model: Recommender, no_repeats: bool) -> ContinuationScorer:
        """Reads N:LENGTH, N:LENGTH:TEMPERATURE or N:LENGTH:TEMPERATURE:TOP_P.

        Args:
            text: Such as "50:10:0.8".
            model: It generates.
            no_repeats: Whether no item of a history is written, and none twice.

        Raises:
            ConfigError: Anything else.
        """
        match = re.fullmatch(r"(\d+):(\d+)(?::([\d.]+))?(?::([\d.]+))?", text)
        try:
            if match:
                n, length, temperature, top_p = match.groups("1")
                how = {"temperature": float(temperature), "top_p": float(top_p), "no_repeats": no_repeats}
                Draws.alike(tf.zeros((1, 1), tf.int32), int(n), int(length), seed=0, **how)
                return cls(model, int(n), int(length), **how)
        except ValueError:
            pass  # such as 1.2.3
        raise ConfigError(
            f"continuations are N:LENGTH, N:LENGTH:TEMPERATURE or N:LENGTH:TEMPERATURE:TOP_P, not {text!r}."
        )

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n), right-aligned, as float32 (batch, catalog_size)."""
        draws = Draws.alike(history, self._n, self._length, seed_of(history), **self._options)
        logits = self._model.score(history)
        return rank_by_continuations(self._model.write_on(history, draws, logits), logits)
