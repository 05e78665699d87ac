"""Surgery as a function: patches into any backbone, which is frozen, stays shared, and answers as before at birth.

Yuan et al., PeterRec, SIGIR 2020, section 3.3. A backbone lists its places (layers/patching.py); nothing in it is
replaced, the patches are handed to its call. So one backbone serves any number of tasks at the same time.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import keras
import numpy as np
import pydantic

from tfrec_zoo.config import Config
from tfrec_zoo.layers.patching import LAYER, Place
from tfrec_zoo.layers.scale_shift import ScaleShift
from tfrec_zoo.layers.serial_patch import ParallelPatch, SerialPatch


class PatchConfig(Config):
    """What is put into a backbone.

    Attributes:
        kind: "serial" patches read the output of the layer that they patch, "parallel" ones its input; "none" puts
            nothing there.
        bottleneck: Width of a patch; None: an eighth of the layer's output.
        train_layer_norm: Also give the task a scale and a shift of its own after every LayerNorm, which amounts to
            training the LayerNorms.
    """

    kind: Literal["serial", "parallel", "none"] = "serial"
    bottleneck: int | None = pydantic.Field(None, ge=1)
    train_layer_norm: bool = False

    def make(self, place: Place) -> keras.layers.Layer | None:
        """The patch for a place, not built."""
        if place.kind != LAYER:
            return ScaleShift() if self.train_layer_norm else None
        if self.kind == "none":
            return None
        patch_class = SerialPatch if self.kind == "serial" else ParallelPatch
        return patch_class(self.bottleneck or max(1, place.output // 8))


@keras.saving.register_keras_serializable("tfrec_zoo")
class PatchedBackbone(keras.layers.Layer):
    """A backbone with the patches of one task; made by `inject`.

    Args:
        backbone: Built; it is not copied.
        config: What is put into it.

    Call args:
        item_ids: As of the backbone.

    Returns:
        As of the backbone.
    """

    def __init__(self, backbone: keras.layers.Layer, config: PatchConfig, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone
        self.patches = [config.make(place) for place in backbone.patch_places]
        for patch, place in zip(self.patches, backbone.patch_places, strict=True):
            if patch is not None:
                patch.build((None, None, place.output), (None, None, place.inputs))
        self.built = True

    @property
    def patch_parameters(self) -> int:
        """Parameters of all patches."""
        return sum(patch.count_params() for patch in self.patches if patch is not None)

    def call(self, item_ids: Any, training: bool | None = None) -> Any:
        return self.backbone(item_ids, patches=self.patches, training=training)


def inject(backbone: keras.layers.Layer, config: PatchConfig) -> PatchedBackbone:
    """Puts patches into a backbone and freezes it.

    Args:
        backbone: Built, with `patch_places` and a call that takes `patches`.
        config: What is put into it.

    Returns:
        The same backbone with new patches; its outputs are those of the backbone, to the bit, until they are trained.
    """
    backbone.trainable = False
    return PatchedBackbone(backbone, config)


def backbone_hash(backbone: keras.layers.Layer) -> str:
    """Hex SHA-256 of a backbone's weights, bytes and shapes in their order; states of random generators left out."""
    digest = hashlib.sha256()
    for weight in backbone.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.dtype} {value.shape} ".encode() + value.tobytes())
    return digest.hexdigest()
