"""The sequences view: histories in batches, right-aligned, for training and for evaluation.

Training batches are a pure function of the dataset, the arguments and the step: the order of the users, the windows and
the masks (keyed by `seed` in every batch) come out the same in every run, and a resumed run skips to where it was.

What the records hold depends on the split protocol (`DatasetSpec.split.protocol`). Train records are a user's train
events, gaps closed, or windows over them. A valid or test record asks for one target; its `items` are the newest, its
`seen` all events of the user before the target in time (ties in the log's order), whatever part they belong to.

    leave-one-out   one target a user with 3 events or more: the last is test, the one before it valid
    user            one target a held-out user: the last event; the user's other events are in no train record
    temporal        every event after the cut is a target, if its user has an earlier event; so several a user
    random, files   every drawn (listed) event is a target, if its user has an earlier event; so several a user; other
                    train events of the user may be later than the target

A refit trains on the train and valid events. Where the valid target ends a user's train and valid events
(leave-one-out, user) these are the valid records with their targets appended and the train records that carry
`train_only`; elsewhere, and where histories are cut into windows, they are shards of their own: train+valid.
"""

import tensorflow as tf

from tfrec_zoo.data import records
from tfrec_zoo.data.length_buckets import POOL_BATCHES, deal_by_length, narrow
from tfrec_zoo.dataset_spec import DatasetSpec, FeatureSpec
from tfrec_zoo.preprocessing.history import latest, random_windows, right_align

_VIEW = "sequences"
_VARIABLE = FeatureSpec("int64", (-1,))
_SCALAR = FeatureSpec("int64", (1,))
_SHUFFLE_RECORDS = 100_000
_SEEDS_BETWEEN_PARTS = 2_654_435_761  # far apart, so that no part's seed is the one of another run's part

TRAIN, TRAIN_AND_VALID = "train", "train+valid"


def training_records(spec: DatasetSpec) -> int:
    """Number of histories that one epoch of `training_batches` sees; a refit on train+valid sees as many."""
    return spec.records(_VIEW, "train")


def training_batches(
    spec: DatasetSpec,
    batch_size: int,
    length: int,
    *,
    split: str = TRAIN,
    windows: str = "random",
    length_buckets: int = 1,
    seed: int = 0,
    first_step: int = 0,
    part: records.Part = records.WHOLE,
) -> tf.data.Dataset:
    """Endless shuffled batches of training histories; an epoch is `training_records / batch_size` of them.

    Args:
        spec: The dataset.
        batch_size: Histories a batch; always full.
        length: Columns of a history.
        split: "train", or "train+valid" for a refit: every history with its validation target appended.
        windows: "random" cuts a new random window of a longer history each time, "latest" keeps the newest items.
        length_buckets: Widths of the batches: with more than 1, histories of similar length share a batch, which is as
            wide as the bucket of its longest one. 1 makes every batch `length` wide.
        seed: Of the order, the windows and the `seed` that each batch carries.
        first_step: Batches to skip, for a run that goes on.
        part: Read this part of the records alone, as one of several workers does; its epochs are as much shorter.

    Returns:
        A dataset of dicts: "history" int32 (batch_size, length), right-aligned, narrower where `length_buckets` allows;
        "items" int32 (batch_size, n), the records from which these were cut; "seed" int64 (2,), one a step, for the
        model's own random choices.
    """
    pool = POOL_BATCHES if length_buckets > 1 else 1
    if split == TRAIN:
        serialized = records.read_part(spec, _VIEW, "train", part)
    elif split == TRAIN_AND_VALID and spec.records(_VIEW, TRAIN_AND_VALID):
        serialized = records.read_part(spec, _VIEW, TRAIN_AND_VALID, part)
    elif split == TRAIN_AND_VALID:
        serialized = records.read_part(spec, _VIEW, "valid", part).concatenate(_train_only(spec, part))
    else:
        raise ValueError(f"split is {TRAIN!r} or {TRAIN_AND_VALID!r}, not {split!r}")
    if records.is_small(spec, _VIEW):
        serialized = serialized.cache()
    seed += part.index * _SEEDS_BETWEEN_PARTS

    def to_windows(number: tf.Tensor, batch: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        row = records.parse(batch, {"items": _VARIABLE, "target": _VARIABLE})
        # Train records have no target; a valid record's target is the item after its history.
        items = tf.concat([row["items"], row["target"]], axis=1).to_tensor()
        items = right_align(tf.cast(items, tf.int32))
        pool_seed = tf.stack([tf.constant(seed, tf.int64), number])
        history = latest(items, length) if windows == "latest" else random_windows(items, length, pool_seed)
        if pool == 1:
            return history[None], items[None]
        rows = deal_by_length(history, pool, length_buckets, pool_seed)
        return tf.gather(history, rows), tf.gather(items, rows)

    def to_batch(step: tf.Tensor, windows: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        history, items = windows
        if length_buckets > 1:
            history = narrow(history, length_buckets)
        history = tf.ensure_shape(history, (batch_size, length if length_buckets == 1 else None))
        return {"history": history, "items": items, "seed": tf.stack([tf.constant(seed, tf.int64), step])}

    def epoch_order(epoch: tf.Tensor) -> tf.data.Dataset:
        # A seed an epoch instead of reshuffle_each_iteration, whose order depends on who iterated the dataset before.
        # set_seed here sets the seed of this function's graph alone, so that the global seed has no say either.
        tf.random.set_seed(1 + seed)
        buffer = min(training_records(spec), _SHUFFLE_RECORDS)
        return serialized.shuffle(buffer, seed=epoch, reshuffle_each_iteration=False)

    batches = (
        tf.data.Dataset.counter()
        .flat_map(epoch_order)
        .batch(pool * batch_size, drop_remainder=True)
        .enumerate()
        .skip(first_step // pool)
        .map(to_windows, num_parallel_calls=records.PARALLEL_CALLS, deterministic=True)
        .unbatch()
        .enumerate(start=first_step // pool * pool)
        .skip(first_step % pool)
        .map(to_batch)
    )
    return records.fixed_parallelism(batches)


def evaluation_batches(spec: DatasetSpec, split: str, batch_size: int, length: int | None = None) -> tf.data.Dataset:
    """One pass over the held-out targets of a split, in the order of the shards.

    Args:
        spec: The dataset.
        split: "valid" or "test".
        batch_size: Users a batch; the last one may be smaller.
        length: Columns of a history; default: as long as the longest of the batch.

    Returns:
        A dataset of dicts: "history" int32 (batch, length), right-aligned; "target" int32 (batch,), OOV for an item
        without train rows; "seen" RaggedTensor int32 (batch, None), every earlier item; "user" string (batch,).
    """
    features = {"user": FeatureSpec("bytes", (1,)), "items": _VARIABLE, "target": _SCALAR, "seen": _VARIABLE}

    def to_batch(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        row = records.parse(batch, features)
        return {
            "user": row["user"],
            "history": right_align(tf.cast(row["items"].to_tensor(), tf.int32), length),
            "target": tf.cast(row["target"], tf.int32),
            "seen": tf.cast(row["seen"], tf.int32),
        }

    serialized = records.read(spec.paths(_VIEW, split))
    batches = serialized.batch(batch_size).map(to_batch, num_parallel_calls=records.PARALLEL_CALLS).prefetch(2)
    return records.fixed_parallelism(batches)


def _train_only(spec: DatasetSpec, part: records.Part) -> tf.data.Dataset:
    """Serialized train records of users that have no valid record (they carry `train_only`)."""

    def keep(batch: tf.Tensor) -> tf.Tensor:
        return tf.boolean_mask(batch, records.parse(batch, {"train_only": _VARIABLE})["train_only"].row_lengths() > 0)

    return records.read_part(spec, _VIEW, "train", part).batch(4096).map(keep).unbatch()
