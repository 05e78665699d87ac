"""Signatures of fine-tuned tasks: raw history of the source domain in, items of the target domain or classes out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfrec_zoo.export.signatures.catalogue import CatalogueScorer
from tfrec_zoo.export.signatures.recommend import best
from tfrec_zoo.models.transfer_task import TransferTask
from tfrec_zoo.preprocessing.seen import leave_out
from tfrec_zoo.preprocessing.vocabulary import ItemVocabulary
from tfrec_zoo.runs.task_folder import TaskFolder


class TaskScorer(tf.Module):
    """A task on the model of a `CatalogueScorer`, whose weights it shares; only patches and head are its own.

    Args:
        scorer: Holds the pre-trained model and the vocabulary of its items.
        task: The task, attached to that model.
        folder: Where it comes from: its targets and how frequent they were.
    """

    def __init__(self, scorer: CatalogueScorer, task: TransferTask, folder: TaskFolder) -> None:
        super().__init__()
        self._source = scorer
        self.kind = task.config.kind
        self.vocabulary = ItemVocabulary(folder.vocabulary)
        counts = np.maximum(folder.counts, 1.0)
        self._frequency = tf.Variable(
            np.log(counts / counts.sum()), dtype=tf.float32, trainable=False, name="frequency"
        )
        self._weights = [weight.value for weight in task.own_weights]
        self._score = lambda history: tf.cast(task.score(history), tf.float32)

    def scores(self, history: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Scores of the targets, float32 (batch, targets), and where they are log frequencies: bool (batch,).

        Args:
            history: string (batch, length), raw ids of source items, oldest first; unknown ones are ignored.
        """
        item_ids = self._source.vocabulary.ids(history)
        fallback = self._source.fallback(item_ids)
        scores = self._score(self._source.history(item_ids))
        return tf.where(fallback[:, None], self._frequency[None], scores), fallback


def recommend_targets(scorer: TaskScorer, history: tf.Tensor, exclude: tf.Tensor, max_k: int) -> dict[str, tf.Tensor]:
    """Ranks the target domain.

    Args:
        scorer: The task.
        history: As of `TaskScorer.scores`.
        exclude: string (batch, m), raw ids of target items to leave out, such as those that the user has; "" is none.
        max_k: Columns of the answer.

    Returns:
        As of `recommend`; `fallback` is True where no item of the history is known and popular items are given.
    """
    scores, fallback = scorer.scores(history)
    return best(scorer.vocabulary, leave_out(scores, scorer.vocabulary.ids(exclude)), fallback, max_k)


def tell_class(scorer: TaskScorer, history: tf.Tensor) -> dict[str, tf.Tensor]:
    """Tells the user's class.

    Args:
        scorer: The task.
        history: As of `TaskScorer.scores`.

    Returns:
        classes: string (batch, classes), the likeliest first.
        probabilities: float32 (batch, classes).
        fallback: bool (batch,), True where no item of the history is known and the shares in train are given.
    """
    scores, fallback = scorer.scores(history)
    ranked = best(scorer.vocabulary, tf.nn.softmax(scores), fallback, scores.shape[1])
    return {"classes": ranked["item_ids"], "probabilities": ranked["scores"], "fallback": fallback}
