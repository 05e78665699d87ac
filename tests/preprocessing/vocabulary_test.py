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


def test_vocabularies_made_one_after_another_do_not_share_their_items(tmp_path: Path) -> None:
    kept = []
    for number in range(30):
        path = tmp_path / f"{number}.txt"
        path.write_text(f"item-{number}\n", encoding="utf-8")
        vocabulary = ItemVocabulary(path)
        # What outlives a vocabulary may be its tables alone, as long as something still looks items up in them.
        kept.append((vocabulary._ids, vocabulary._raw_ids))
        assert vocabulary.raw_ids(tf.constant([4])).numpy().tolist() == [f"item-{number}".encode()]
        assert vocabulary.ids(tf.constant([f"item-{number}", "item-x"])).numpy().tolist() == [4, 1]
