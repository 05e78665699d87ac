"""tfrec-zoo: a TensorFlow/Keras production model zoo for recommenders.

The names below are what a user may rely on; they are imported when first used, so that `import tfrec_zoo` is fast and
leaves TensorFlow alone.

    import tfrec_zoo

    spec = tfrec_zoo.DatasetSpec.read("DATA")
    model = tfrec_zoo.Bert4Rec.from_spec(spec)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfrec_zoo.augmentation.augment import augment
    from tfrec_zoo.augmentation.fake_histories import AugmentationOptions
    from tfrec_zoo.data.interactions import training_batches as interaction_batches
    from tfrec_zoo.data.interactions import training_rows as interaction_rows
    from tfrec_zoo.data.sequences import evaluation_batches, training_batches, training_records
    from tfrec_zoo.dataset_spec import DatasetSpec
    from tfrec_zoo.errors import (
        ConfigError,
        DataError,
        EvaluationError,
        ExportError,
        TfrecError,
        TrainingError,
    )
    from tfrec_zoo.evaluation.baselines import Markov, Popularity
    from tfrec_zoo.evaluation.catalogue_matching import CatalogueEvaluator
    from tfrec_zoo.evaluation.comparison import compare_runs
    from tfrec_zoo.evaluation.evaluator import Evaluation, Evaluator
    from tfrec_zoo.evaluation.pointwise import PointwiseEvaluation, PointwiseEvaluator
    from tfrec_zoo.evaluation.report import evaluate_run
    from tfrec_zoo.export.export_run import export_run
    from tfrec_zoo.models.bert4rec import Bert4Rec
    from tfrec_zoo.models.cgan import CGAN
    from tfrec_zoo.models.deepfm import DeepFM
    from tfrec_zoo.models.din import DIN
    from tfrec_zoo.models.dssm import DSSM
    from tfrec_zoo.models.inttower import IntTower
    from tfrec_zoo.models.ncf import NCF
    from tfrec_zoo.models.peterrec import PeterRec
    from tfrec_zoo.models.recommender import Recommender
    from tfrec_zoo.models.registry import get_model
    from tfrec_zoo.models.sasrec import SASRec
    from tfrec_zoo.models.seqgan import SeqGAN
    from tfrec_zoo.training.callbacks import LabelValidation, RankingValidation
    from tfrec_zoo.training.finetune import finetune
    from tfrec_zoo.training.train import train

_MODULES = {
    "AugmentationOptions": "augmentation.fake_histories",
    "Bert4Rec": "models.bert4rec",
    "CatalogueEvaluator": "evaluation.catalogue_matching",
    "ConfigError": "errors",
    "DataError": "errors",
    "DatasetSpec": "dataset_spec",
    "Evaluation": "evaluation.evaluator",
    "EvaluationError": "errors",
    "Evaluator": "evaluation.evaluator",
    "ExportError": "errors",
    "LabelValidation": "training.callbacks",
    "Markov": "evaluation.baselines",
    "CGAN": "models.cgan",
    "DIN": "models.din",
    "DSSM": "models.dssm",
    "DeepFM": "models.deepfm",
    "IntTower": "models.inttower",
    "NCF": "models.ncf",
    "PeterRec": "models.peterrec",
    "PointwiseEvaluation": "evaluation.pointwise",
    "PointwiseEvaluator": "evaluation.pointwise",
    "Popularity": "evaluation.baselines",
    "RankingValidation": "training.callbacks",
    "Recommender": "models.recommender",
    "SASRec": "models.sasrec",
    "SeqGAN": "models.seqgan",
    "TfrecError": "errors",
    "TrainingError": "errors",
    "augment": "augmentation.augment",
    "compare_runs": "evaluation.comparison",
    "evaluate_run": "evaluation.report",
    "evaluation_batches": "data.sequences",
    "export_run": "export.export_run",
    "finetune": "training.finetune",
    "get_model": "models.registry",
    "interaction_batches": "data.interactions:training_batches",
    "interaction_rows": "data.interactions:training_rows",
    "train": "training.train",
    "training_batches": "data.sequences",
    "training_records": "data.sequences",
}

__all__ = [
    "CGAN",
    "DIN",
    "DSSM",
    "NCF",
    "AugmentationOptions",
    "Bert4Rec",
    "CatalogueEvaluator",
    "ConfigError",
    "DataError",
    "DatasetSpec",
    "DeepFM",
    "Evaluation",
    "EvaluationError",
    "Evaluator",
    "ExportError",
    "IntTower",
    "LabelValidation",
    "Markov",
    "PeterRec",
    "PointwiseEvaluation",
    "PointwiseEvaluator",
    "Popularity",
    "RankingValidation",
    "Recommender",
    "SASRec",
    "SeqGAN",
    "TfrecError",
    "TrainingError",
    "augment",
    "compare_runs",
    "evaluate_run",
    "evaluation_batches",
    "export_run",
    "finetune",
    "get_model",
    "interaction_batches",
    "interaction_rows",
    "train",
    "training_batches",
    "training_records",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, there = _MODULES[name].partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), there or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
