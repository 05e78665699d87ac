"""TensorFlow Recommenders, which is written for Keras 2, beside a zoo that is written for Keras 3.

`import tensorflow_recommenders` wants `tf.keras` to be Keras 2 (the package tf_keras), which the environment decides
when `tf.keras` is first touched. `import keras` is Keras 3 in either case. Only this module imports it, when a model
needs it, so that nobody else's `tf.keras` changes.
"""

from __future__ import annotations

import functools
import os
from typing import Any

from tfrec_zoo.errors import ConfigError


@functools.cache
def tensorflow_recommenders() -> Any:
    """Imports the package.

    Raises:
        ConfigError: `tf.keras` is Keras 3 in this process already, or the package is missing.
    """
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    try:
        import tensorflow_recommenders as package
    except ImportError as error:
        raise ConfigError(
            "tensorflow_recommenders cannot be imported, which the retrieval objective and the index need: "
            f"{' '.join(str(error).split())[:200]} If something touched tf.keras before, start the process with "
            "TF_USE_LEGACY_KERAS=1 in its environment; Keras 3 (`import keras`) stays what it is."
        ) from error
    finally:
        if before is None:
            del os.environ["TF_USE_LEGACY_KERAS"]
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before
    return package
