"""Raw item ids to ids and back, inside the graph: the vocabulary file travels with the SavedModel as an asset."""

import os

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, PAD

# TensorFlow names a table after its Asset, that is after the address of a Python object. With the address used again, a
# new vocabulary would share the table, and so the items, of an old one: no asset's address ever becomes free.
_ASSETS: list[tf.saved_model.Asset] = []


class ItemVocabulary(tf.Module):
    """Looks items up in DATA's vocab/item.txt.

    Args:
        path: The file: one raw id a line, line n (0-based) has id n + 4.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._file = tf.saved_model.Asset(os.fspath(path))
        _ASSETS.append(self._file)
        line, text = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(self._file, tf.string, text, tf.int64, line),
            default_value=OOV - FIRST_ITEM_ID,
        )
        self._raw_ids = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(self._file, tf.int64, line, tf.string, text), default_value=""
        )

    def ids(self, raw_ids: tf.Tensor) -> tf.Tensor:
        """Ids of raw item ids: "" is PAD, an unknown one OOV; int32 of the shape of `raw_ids`."""
        found = tf.cast(self._ids.lookup(raw_ids) + FIRST_ITEM_ID, tf.int32)
        return tf.where(raw_ids == "", PAD, found)

    def raw_ids(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Raw ids of item ids, "" for the reserved ones; string of the shape of `item_ids`."""
        return self._raw_ids.lookup(tf.cast(item_ids, tf.int64) - FIRST_ITEM_ID)
