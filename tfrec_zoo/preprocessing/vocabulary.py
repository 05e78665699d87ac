"""Raw values to ids and back, inside the graph: the vocabulary file travels with the SavedModel as an asset."""

import os

import tensorflow as tf

from tfrec_zoo.dataset_spec import FIRST_ITEM_ID, OOV, PAD

_LINE, _TEXT = tf.lookup.TextFileIndex.LINE_NUMBER, tf.lookup.TextFileIndex.WHOLE_LINE

# TensorFlow names a table after its Asset, that is after the address of a Python object. With the address used again, a
# new vocabulary would share the table, and so the items, of an old one: no asset's address ever becomes free.
_ASSETS: list[tf.saved_model.Asset] = []


class Vocabulary(tf.Module):
    """Looks values up in one of DATA's files vocab/*.txt.

    Args:
        path: The file: one raw value a line, line n (0-based) has id n + 4. Not empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self.path = os.fspath(path)
        self._file = tf.saved_model.Asset(self.path)
        _ASSETS.append(self._file)
        self._ids = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(self._file, tf.string, _TEXT, tf.int64, _LINE),
            default_value=OOV - FIRST_ITEM_ID,
        )

    def ids(self, raw: tf.Tensor) -> tf.Tensor:
        """Ids of raw values: "" is PAD, an unknown one OOV; int32 of the shape of `raw`."""
        found = tf.cast(self._ids.lookup(raw) + FIRST_ITEM_ID, tf.int32)
        return tf.where(raw == "", PAD, found)


class ItemVocabulary(Vocabulary):
    """A `Vocabulary` that also tells the raw ids of items, for answers.

    Args:
        path: As of `Vocabulary`; DATA's vocab/item.txt.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._raw_ids = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(self._file, tf.int64, _LINE, tf.string, _TEXT), default_value=""
        )

    def raw_ids(self, item_ids: tf.Tensor) -> tf.Tensor:
        """Raw ids of item ids, "" for the reserved ones; string of the shape of `item_ids`."""
        return self._raw_ids.lookup(tf.cast(item_ids, tf.int64) - FIRST_ITEM_ID)
