import keras
import numpy as np
import pytest
import tensorflow as tf

from tfrec_zoo.backbones.dilated_conv import DilatedConvBackbone
from tfrec_zoo.backbones.transformer import TransformerBackbone
from tfrec_zoo.models.registry import describe
from tfrec_zoo.patches.injection import PatchConfig, backbone_hash, inject

ITEMS, DIM = 30, 64
BACKBONES = {
    "causal convolutions": lambda: DilatedConvBackbone(ITEMS, DIM, (1, 4), 3, 0.2),
    "convolutions": lambda: DilatedConvBackbone(ITEMS, DIM, (1, 4), 3, 0.2, causal=False),
    "Transformer": lambda: TransformerBackbone(ITEMS, 20, DIM, 2, 2, 0.2),
}
HISTORY = np.pad(np.random.default_rng(0).integers(4, 4 + ITEMS, (5, 12)), [[0, 0], [3, 0]]).astype(np.int32)


def new(name: str) -> keras.layers.Layer:
    keras.utils.set_random_seed(0)
    backbone = BACKBONES[name]()
    backbone.build((None, 20))
    return backbone


@pytest.mark.parametrize("train_layer_norm", [False, True])
@pytest.mark.parametrize("kind", ["serial", "parallel", "none"])
@pytest.mark.parametrize("name", BACKBONES)
def test_injection_is_the_identity_to_the_bit_and_freezes_the_rest(
    name: str, kind: str, train_layer_norm: bool
) -> None:
    backbone = new(name)
    before = backbone(HISTORY).numpy()
    patched = inject(backbone, PatchConfig(kind=kind, train_layer_norm=train_layer_norm))
    assert patched(HISTORY).numpy().tobytes() == before.tobytes()
    assert not {id(weight) for weight in patched.trainable_weights} & {id(weight) for weight in backbone.weights}
    expected = (4 if kind != "none" else 0) + (2 if train_layer_norm else 0)
    assert len(patched.trainable_weights) == expected * len(backbone.patch_places) // 2


@pytest.mark.parametrize("kind", ["serial", "parallel"])
@pytest.mark.parametrize("name", BACKBONES)
def test_training_moves_the_patches_and_no_byte_of_the_backbone(name: str, kind: str) -> None:
    backbone = new(name)
    digest, before = backbone_hash(backbone), backbone(HISTORY).numpy()
    patched = inject(backbone, PatchConfig(kind=kind))
    optimizer = keras.optimizers.Adam(0.01)
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(patched(HISTORY)[:, -1] ** 2)
        optimizer.apply(tape.gradient(loss, patched.trainable_weights), patched.trainable_weights)
    assert backbone_hash(backbone) == digest
    assert np.abs(patched(HISTORY).numpy() - before).max() > 1e-3
    assert backbone(HISTORY).numpy().tobytes() == before.tobytes(), "without its patches it is what it was"


def test_the_hash_tells_backbones_apart() -> None:
    backbone = new("Transformer")
    digest = backbone_hash(backbone)
    assert digest == backbone_hash(new("Transformer"))
    weight = backbone.weights[-1]
    changed = weight.numpy()
    changed.flat[0] += 1e-7
    weight.assign(changed)
    assert backbone_hash(backbone) != digest


def test_patches_are_below_a_tenth_of_the_convolutions() -> None:
    backbone = new("causal convolutions")
    convolutions = 2 * 2 * (3 * DIM * DIM + DIM)
    assert backbone.layer_parameters == convolutions
    share = {
        bottleneck: inject(backbone, PatchConfig(bottleneck=bottleneck)).patch_parameters / convolutions
        for bottleneck in (None, 16)
    }
    assert share[None] == pytest.approx(0.089, abs=5e-4)
    assert share[16] == pytest.approx(0.172, abs=1e-3)


def test_the_zoo_says_what_the_patches_of_a_task_cost() -> None:
    patches = {name: row["patches"] for name, row in describe(100).items()}
    assert patches["peterrec"] == "17,536 (8.9%)"
    assert set(patches) >= {"bert4rec", "sasrec"}
