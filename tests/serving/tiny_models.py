"""Small SavedModels with the shapes of the real ones, made for the tests."""

from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

ITEMS = [f"item{rank}" for rank in range(20)]
MAX_K = 12
LOWEST = float(tf.float32.min)
STRINGS = tf.TensorSpec([None, None], tf.string)


class Recommender(tf.Module):
    """Ranks ITEMS with the history's items left out; version v's best score is v, and each rank costs 1."""

    def __init__(self, version):
        super().__init__()
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string, name="history")])
    def recommend(self, history):
        items = tf.constant(ITEMS)
        seen = tf.reduce_any(history[:, :, None] == items[None, None, :], axis=1)
        ranks = tf.range(len(ITEMS), dtype=tf.float32)
        scores = tf.where(seen, LOWEST, self.version - ranks)
        top = tf.math.top_k(scores, MAX_K)
        # Version 1 has fewer items than max_k for a long history: the rest is padding.
        item_ids = tf.where(top.values > LOWEST, tf.gather(items, top.indices), "")
        return {"item_ids": item_ids, "scores": top.values, "fallback": ~tf.reduce_any(seen, axis=1)}

    @tf.function(input_signature=[STRINGS, STRINGS, tf.TensorSpec([None], tf.bool), STRINGS])
    def recommend_filtered(self, history, exclude, exclude_seen, allow):
        items = tf.constant(ITEMS)

        def among(texts):
            return tf.reduce_any(texts[:, :, None] == items[None, None, :], axis=1)

        left_out = among(exclude) | (among(history) & exclude_seen[:, None])
        left_out |= ~among(allow) & tf.reduce_any(allow != "", axis=1)[:, None]
        scores = tf.where(left_out, LOWEST, self.version - tf.range(len(ITEMS), dtype=tf.float32))
        top = tf.math.top_k(scores, MAX_K)
        item_ids = tf.where(top.values > LOWEST, tf.gather(items, top.indices), "")
        return {"item_ids": item_ids, "scores": top.values, "fallback": ~tf.reduce_any(among(history), axis=1)}

    @tf.function(input_signature=[STRINGS, STRINGS])
    def score(self, history, candidates):
        lengths = tf.cast(tf.strings.length(candidates), tf.float32)
        known = tf.reduce_sum(tf.cast(history != "", tf.float32), axis=1, keepdims=True)
        return {"scores": lengths + known}

    @tf.function(input_signature=[STRINGS])
    def encode(self, history):
        return {"vectors": tf.cast(tf.strings.length(history[:, -4:]), tf.float32)}


class Kinds(tf.Module):
    """Inputs of several dtypes, a scalar output, a failing and a slow signature."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def ints(self, x):
        return {"y": x * 2, "total": tf.reduce_sum(x), "zero": tf.zeros_like(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.float32)])
    def two(self, a, b):
        return {"sum": tf.cast(a, tf.float32) + b}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float16),
            tf.TensorSpec([None], tf.bool),
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None], tf.bfloat16),
            tf.TensorSpec([None], tf.uint8),
        ]
    )
    def echo(self, half, flag, text, brain, byte):
        return {
            "half": half + 0,
            "flag": tf.identity(flag),
            "text": text + "!",
            "one": text[0] + "?",
            "brain": brain * 2,
            "byte": byte + 0,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def fails(self, x):
        return {"y": tf.ensure_shape(tf.gather(tf.constant([1, 2, 3]), x), [None])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
    def slow(self, steps):
        def body(i, x):
            return i + 1, tf.sin(x) + 1.0

        return {"x": tf.while_loop(lambda i, _: i < steps, body, (0, tf.constant(0.5)), parallel_iterations=1)[1]}


class Pointwise(tf.Module):
    """Reads serialized examples with a feature `x`; NaN makes NaN, and nothing else."""

    def _features(self, examples):
        parsed = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32, 0.0)})
        return parsed["x"]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def classify(self, inputs):
        x = self._features(inputs)
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.shape(x)[0], 1])
        return {"classes": classes, "scores": tf.stack([1 - x, x], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def regress(self, inputs):
        return {"outputs": 2 * self._features(inputs)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x):
        return {"y_bytes": tf.strings.as_string(x), "y": 2 * x}


def save_pointwise(path: Path) -> None:
    model = Pointwise()
    names = ("classify", "regress", "predict")
    tf.saved_model.save(model, str(path), signatures={name: getattr(model, name) for name in names})
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    for name in ("classify", "regress"):
        signatures[name].method_name = f"tensorflow/serving/{name}"
    # Another head over the very same input, for MultiInference.
    signatures["regress_too"].CopyFrom(signatures["regress"])
    file.write_bytes(saved.SerializeToString())


def save_recommender(path: Path, version: int) -> None:
    model = Recommender(version)
    tf.saved_model.save(
        model,
        str(path),
        signatures={
            "serving_default": model.recommend,
            "recommend": model.recommend,
            "recommend_filtered": model.recommend_filtered,
            "score": model.score,
            "encode": model.encode,
        },
    )


def save_kinds(path: Path) -> None:
    model = Kinds()
    names = ("ints", "two", "echo", "fails", "slow")
    tf.saved_model.save(model, str(path), signatures={name: getattr(model, name) for name in names})
    # A signature with a default, as TensorFlow Serving reads it from the graph's SignatureDef.
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    signatures = saved.meta_graphs[0].signature_def
    signatures["defaulted"].CopyFrom(signatures["two"])
    signatures["defaulted"].defaults["b"].CopyFrom(tf.make_tensor_proto([0.5]))
    file.write_bytes(saved.SerializeToString())
