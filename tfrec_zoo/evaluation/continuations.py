"""Ranking by continuations: `tfrec evaluate` ranks as the signature `generate_filtered` does."""

from __future__ import annotations

import re

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
        temperature: Of the softmax.
        top_p: Share of the probability that is drawn from.
        no_repeats: Whether no item of a history is written, and none twice.

    Raises:
        ConfigError: The model does not generate, or a value is out of its range.
    """

    def __init__(
        self,
        model: Recommender,
        n: int,
        length: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        no_repeats: bool = False,
    ) -> None:
        if GENERATES not in model.capabilities:
            raise ConfigError(f"{model.name_in_zoo} generates nothing; leave --continuations out.")

        def draws(history: tf.Tensor) -> Draws:
            return Draws.alike(history, n, length, seed_of(history), temperature, top_p, no_repeats)

        draws(tf.zeros((1, 1), tf.int32))  # refuses values out of range
        self._model, self._draws = model, draws

    @classmethod
    def parse(cls, text: str, model: Recommender, no_repeats: bool) -> ContinuationScorer:
        """Reads N:LENGTH, N:LENGTH:TEMPERATURE or N:LENGTH:TEMPERATURE:TOP_P.

        Args:
            text: Such as "50:10:0.8".
            model: As of the class.
            no_repeats: As of the class.

        Raises:
            ConfigError: Anything else.
        """
        number = r"\d+(?:\.\d+)?"
        match = re.fullmatch(rf"(\d+):(\d+)(?::({number}))?(?::({number}))?", text)
        if not match:
            raise ConfigError(
                f"continuations are N:LENGTH, N:LENGTH:TEMPERATURE or N:LENGTH:TEMPERATURE:TOP_P, not {text!r}."
            )
        n, length, temperature, top_p = match.groups("1")
        return cls(model, int(n), int(length), float(temperature), float(top_p), no_repeats)

    def score(self, history: tf.Tensor) -> tf.Tensor:
        """Scores int32 histories (batch, n), right-aligned, as float32 (batch, catalog_size)."""
        logits = self._model.score(history)
        return rank_by_continuations(self._model.write_on(history, self._draws(history), logits), logits)
