"""Fake histories as records of the view `sequences`, and the raw id that marks every generated record."""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.augmentation.fake_histories import FakeHistory
from tfrec_zoo.dataset_spec import GENERATED_USER


def fake_user(history: FakeHistory) -> bytes:
    """A raw id such as `generated:7:u42`: of the eighth fake history, which began as one of u42."""
    return f"{GENERATED_USER}{history.real.number}:".encode() + history.real.user


def history_record(history: FakeHistory, max_length: int, train_only: bool) -> bytes:
    """Serializes a fake history; it has no ratings, since nobody gave any.

    Args:
        history: The fake one.
        max_length: Its latest items are kept.
        train_only: Whether records say that their user has no valid record, so that a refit reads them.
    """
    example = tf.train.Example()
    feature = example.features.feature
    feature["user"].bytes_list.value.append(fake_user(history))
    feature["items"].int64_list.value.extend(history.items[-max_length:].tolist())
    feature["times"].int64_list.value.extend(history.times[-max_length:].tolist())
    if train_only:
        feature["train_only"].int64_list.value.append(1)
    return example.SerializeToString(deterministic=True)
