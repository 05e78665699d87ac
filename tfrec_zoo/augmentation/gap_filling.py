"""Gaps of histories, drawn anew by a network that sees both of their sides.

The network is one that has learned the cloze task: PeterRec's dilated residual convolutions without the causal order
(Yuan et al., "Future Data Helps Training", WWW 2020), or BERT4Rec's transformer.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, MASK, PAD
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.preprocessing.history import latest
from tfrec_zoo.preprocessing.seen import leave_out
from tfrec_zoo.samplers.nucleus import draw_rows, gumbel_noise, nucleus


class GapFiller:
    """Draws what stands in gaps, the oldest gap first; a gap that is filled tells of those that are not.

    Args:
        model: It fills gaps.
        temperature: Of the softmax; 0 takes the likeliest item.
        top_p: Draws from the likeliest items that have this share of the probability.
        no_repeats: Draws no item that the history holds outside of its gaps, and none twice.

    Raises:
        ConfigError: The model reads what is older alone.
    """

    def __init__(
        self, model: Recommender, temperature: float = 1.0, top_p: float = 1.0, no_repeats: bool = False
    ) -> None:
        if not model.fills_gaps:
            raise ConfigError(
                f"a {model.name_in_zoo} that reads what is older alone fills no gaps: train one that sees both sides "
                "with `tfrec train peterrec --set network.causal=false`."
            )
        self._model, self._temperature, self._top_p, self._no_repeats = model, temperature, top_p, no_repeats

    def fill(self, history: tf.Tensor, gaps: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Fills gaps; what a row gets depends on its own history, gaps and seed alone.

        Args:
            history: int32 (batch, n), right-aligned.
            gaps: bool (batch, n); those older than the network reads stay as they are, and PAD is no gap.
            seeds: int64 (batch,), not negative.

        Returns:
            int32 (batch, n), other items in the gaps, perhaps by chance the same.
        """
        length = self._model.config.max_length  # type: ignore[attr-defined]
        width = tf.shape(history)[1]
        older = history[:, : tf.maximum(width - length, 0)]
        window, open_gaps = latest(history, length), latest(tf.cast(gaps, tf.int32), length)
        open_gaps = (open_gaps > 0) & (window != PAD)
        number = tf.cumsum(tf.cast(open_gaps, tf.int32), axis=1)
        rows, most = tf.shape(history)[0], tf.reduce_max(number[:, -1])

        def step(place: tf.Tensor, item_ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            here = open_gaps & (number == place + 1)
            column = tf.argmax(tf.cast(here, tf.int32), axis=1, output_type=tf.int32)
            logits = self._model({"item_ids": item_ids, "positions": column[:, None]}, training=False)[:, 0]
            logits = tf.cast(logits, tf.float32)
            if self._no_repeats:
                logits = logits + leave_out(tf.zeros_like(logits), tf.concat([older, item_ids], axis=1))
            temperature = tf.fill((rows,), float(self._temperature))
            if self._top_p < 1:
                logits = nucleus(logits, temperature, tf.fill((rows,), float(self._top_p)))
            # Negative, so that no number is one that the generator draws with (continuations.py).
            noise_of = tf.stack([seeds, tf.fill((rows,), -1 - tf.cast(place, tf.int64))], axis=1)
            drawn = draw_rows(logits, temperature, gumbel_noise(noise_of, self._model.catalog_size))
            # Where no item is left, the real one returns.
            filled = tf.where((drawn >= 0)[:, None], drawn[:, None] + FIRST_ITEM_ID, window)
            return place + 1, tf.where(here, filled, item_ids)

        hidden = tf.where(open_gaps, MASK, window)
        _, filled = tf.while_loop(lambda place, _: place < most, step, (0, hidden), parallel_iterations=1)
        whole = tf.concat([older, filled], axis=1)
        return whole[:, tf.shape(whole)[1] - width :]
