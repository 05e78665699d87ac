"""The Session called directly in a process: what a request costs without any server.

A script of its own, run without this project, like the export gate's replay:

    python direct_session.py SAVED_MODEL INPUTS.json SECONDS INTRA_OP_THREADS > seconds-of-every-call.json
"""

import json
import sys
import time

sys.modules["keras"] = sys.modules["tf_keras"] = sys.modules["tfrec_zoo"] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402


def main(saved_model: str, inputs_path: str, seconds: float, intra_op_threads: int) -> int:
    """Calls `serving_default` one request at a time and prints how long each took."""
    with open(inputs_path, encoding="utf-8") as file:
        batches = [np.array(rows, dtype=object) for rows in json.load(file)]
    taken: list[float] = []
    config = tf.ConfigProto(intra_op_parallelism_threads=intra_op_threads)
    with tf.Session(graph=tf.Graph(), config=config) as session:
        signature = tf.saved_model.loader.load(session, ["serve"], saved_model).signature_def["serving_default"]
        fetches = [info.name for info in signature.outputs.values()]
        call = session.make_callable(fetches, [signature.inputs["history"].name])
        for batch in batches[:30]:
            call(batch)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            began = time.perf_counter()
            call(batches[len(taken) % len(batches)])
            taken.append(time.perf_counter() - began)
    json.dump(taken, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])))
