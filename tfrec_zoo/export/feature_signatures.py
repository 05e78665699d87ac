"""The signatures of models of features: two towers and rankers."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfrec_zoo.errors import ExportError
from tfrec_zoo.export.item_catalogue import ItemCatalogue
from tfrec_zoo.export.signature import CLASSIFY, REGRESS, Signature, Tensors, texts
from tfrec_zoo.export.signatures.classify import classify
from tfrec_zoo.export.signatures.features import FeatureScorer
from tfrec_zoo.export.signatures.pre_rank import pre_rank
from tfrec_zoo.export.signatures.regress import regress
from tfrec_zoo.export.signatures.retrieve import retrieve
from tfrec_zoo.export.signatures.score_examples import score_examples
from tfrec_zoo.export.signatures.vectors import encode_items, encode_users
from tfrec_zoo.models.feature_recommender import FeatureRecommender
from tfrec_zoo.models.recommender import Recommender
from tfrec_zoo.runs.task_folder import TaskFolder

CANDIDATES, HISTORY = "candidates", "history"


def feature_signatures(
    model: Recommender, catalogue: ItemCatalogue, max_k: int, tasks: Sequence[TaskFolder]
) -> tuple[list[tf.Module], dict[str, Signature]]:
    """Signatures over raw features by name.

    Args:
        model: A model of features.
        catalogue: The items.
        max_k: Width of the ranked answers.
        tasks: Must be none.

    Returns:
        What holds the weights and tables, and name -> signature; `serving_default` is `recommend` where there is an
        index, else `pre_rank`.

    Raises:
        ExportError: There are tasks, or a feature of the user is named as the candidates are.
        DataError: The dataset does not describe the items that the model encodes.
    """
    assert isinstance(model, FeatureRecommender)
    if tasks:
        raise ExportError(f"{model.name_in_zoo} has no tasks.")
    scorer = FeatureScorer(model, catalogue)
    user, item = scorer.users.inputs, scorer.items.inputs
    if CANDIDATES in user:
        raise ExportError(
            f"the model reads a feature {CANDIDATES!r}, which is an input of pre_rank: rename its column."
        )

    def pre_ranked(given: Tensors) -> dict[str, tf.Tensor]:
        return pre_rank(scorer, given, given[CANDIDATES])

    signatures = {
        "pre_rank": Signature({**user, CANDIDATES: texts()}, pre_ranked),
        "serving_examples": Signature({"examples": texts(1)}, lambda given: score_examples(scorer, **given)),
    }
    if not model.retrieves:
        signatures["classify"] = Signature({"inputs": texts(1)}, lambda given: classify(scorer, **given), CLASSIFY)
        signatures["regress"] = Signature({"inputs": texts(1)}, lambda given: regress(scorer, **given), REGRESS)
    if scorer.index is not None:
        # The history is asked for even where the model does not read it: its items are left out.
        signatures["recommend"] = Signature(
            {**user, HISTORY: texts()}, lambda given: retrieve(scorer, given, given[HISTORY], max_k)
        )
        signatures["encode"] = Signature(user, lambda given: encode_users(scorer, given))
        signatures["encode_items"] = Signature(item, lambda given: encode_items(scorer, given))
    default = signatures.get("recommend", signatures["pre_rank"])
    return [scorer], {**signatures, "serving_default": default}
