from pathlib import Path

import tensorflow as tf

from tfrec_zoo.preprocessing.vocabulary import ItemVocabulary


def test_lines_are_ids_from_four_on_and_back(tmp_path: Path) -> None:
    path = tmp_path / "item.txt"
    path.write_text('b\na, "x"\té🎬\n 7\n', encoding="utf-8")
    vocabulary = ItemVocabulary(path)
    raw = tf.constant([["", "b", "nobody"], ['a, "x"\té🎬', " 7", "7"]])
    assert vocabulary.ids(raw).numpy().tolist() == [[0, 4, 1], [5, 6, 1]]
    back = vocabulary.raw_ids(tf.constant([0, 1, 2, 3, 4, 5, 6, 7])).numpy().tolist()
    assert [text.decode() for text in back] == ["", "", "", "", "b", 'a, "x"\té🎬', " 7", ""]
