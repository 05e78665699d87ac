"""Names and methods of signatures that TensorFlow 2 does not save by itself."""

from pathlib import Path

import tensorflow as tf

from tfrec_zoo.export.signature import CLASSIFY, PREDICT, Signature, finish_saved_model

NAMES = ("class", "release.year", "1st", "a-b", "plain", "input_0")


def test_any_name_of_a_feature_is_an_input(tmp_path: Path) -> None:
    number = tf.TensorSpec((None,), tf.float32)

    def answer(given: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"sum": tf.add_n([given[name] * 10.0**place for place, name in enumerate(NAMES)])}

    signatures = {
        "odd": Signature(dict.fromkeys(NAMES, number), answer),
        "other": Signature({"inputs": number}, lambda given: {"scores": given["inputs"]}, CLASSIFY),
    }
    functions = {name: signature.function for name, signature in signatures.items()}
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"), signatures=functions)
    finish_saved_model(tmp_path / "m", signatures)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(tmp_path / "m")).signature_def
        inputs = loaded["odd"].inputs
        assert set(inputs) == set(NAMES)
        feed = {inputs[name].name: [float(place + 1)] for place, name in enumerate(NAMES)}
        assert session.run(loaded["odd"].outputs["sum"].name, feed).tolist() == [654321.0]
        assert (loaded["odd"].method_name, loaded["other"].method_name) == (PREDICT, CLASSIFY)
