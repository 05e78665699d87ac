"""Curves of a run for TensorBoard: `tensorboard --logdir RUN`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import tensorflow as tf

# What tf.summary.scalar does, which needs the package of TensorBoard itself.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"), data_class="DATA_CLASS_SCALAR"
)


class Scalars:
    """Writes figures of a run into event files under a directory; a disk that refuses them stops nothing.

    Args:
        directory: RUN/tensorboard/fit or refit; made with the first figure.
        note: Says one line to the user.
    """

    def __init__(self, directory: Path, note: Callable[[str], None]) -> None:
        self._directory, self._note = directory, note
        self._writer: tf.summary.SummaryWriter | None = None
        self._failed = False

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Adds one point to every curve.

        Args:
            step: Steps trained.
            figures: Curve -> value.
        """
        if self._failed:
            return
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(str(self._directory))
            with self._writer.as_default(step=step):
                for name, value in figures.items():
                    tf.summary.write(name, tf.constant(value, tf.float32), metadata=_SCALAR)
            self._writer.flush()
        except (OSError, tf.errors.OpError) as error:
            self._failed = True
            self._note(
                f"curves for TensorBoard could not be written into {self._directory}: {error}. Training goes on."
            )
