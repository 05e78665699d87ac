"""The zoo: every model by its name on the command line."""

from __future__ import annotations

import dataclasses
import importlib
from typing import TYPE_CHECKING, Any

from tfrec_zoo.errors import ConfigError
from tfrec_zoo.patches.injection import PatchConfig, inject

if TYPE_CHECKING:
    from tfrec_zoo.models.recommender import Recommender


@dataclasses.dataclass(frozen=True)
class Entry:
    """One model: where its class is, and what a user wants to know before training it.

    Attributes:
        path: "module:Class"; imported when it is asked for.
        paper: Authors, title, venue.
        objective: What it is trained to do.
        needs: What it reads of DATA.
    """

    path: str
    paper: str
    objective: str
    needs: str

    def load(self) -> type[Recommender]:
        """Imports the model's class."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


MODELS = {
    "bert4rec": Entry(
        "tfrec_zoo.models.bert4rec:Bert4Rec",
        "Sun et al., BERT4Rec, CIKM 2019",
        "cloze: name the hidden items of a history",
        "sequences",
    ),
    "cgan": Entry(
        "tfrec_zoo.models.cgan:CGAN",
        "Mirza and Osindero, Conditional GAN, 2014, on the vectors of DSSM",
        "two towers find the item; write item vectors so that a discriminator takes them for what the user took",
        "interactions and items of positives",
    ),
    "deepfm": Entry(
        "tfrec_zoo.models.deepfm:DeepFM",
        "Guo et al., DeepFM, IJCAI 2017",
        "rank: log-loss of the label",
        "interactions",
    ),
    "din": Entry(
        "tfrec_zoo.models.din:DIN",
        "Zhou et al., Deep Interest Network, KDD 2018",
        "rank: log-loss of the label",
        "interactions",
    ),
    "dssm": Entry(
        "tfrec_zoo.models.dssm:DSSM",
        "Huang et al., DSSM, CIKM 2013",
        "two towers: log-loss of the label, or find the item among those of the batch",
        "interactions; to retrieve items too",
    ),
    "inttower": Entry(
        "tfrec_zoo.models.inttower:IntTower",
        "Li et al., IntTower, CIKM 2022",
        "two towers that interact late: log-loss of the label and InfoNCE",
        "interactions",
    ),
    "ncf": Entry(
        "tfrec_zoo.models.ncf:NCF",
        "He et al., Neural Collaborative Filtering, WWW 2017",
        "rank: log-loss of the label",
        "interactions",
    ),
    "peterrec": Entry(
        "tfrec_zoo.models.peterrec:PeterRec",
        "Yuan et al., PeterRec, SIGIR 2020",
        "pre-train: name the next item (or hidden ones); fine-tune: patches for many tasks",
        "sequences; to fine-tune transfer or profiles",
    ),
    "sasrec": Entry(
        "tfrec_zoo.models.sasrec:SASRec",
        "Kang and McAuley, SASRec, ICDM 2018 (with softmax)",
        "name the next item at every position",
        "sequences",
    ),
    "seqgan": Entry(
        "tfrec_zoo.models.seqgan:SeqGAN",
        "Yu et al., SeqGAN, AAAI 2017",
        "name the next item; write on so that a discriminator takes it for real",
        "sequences",
    ),
}


def get_model(name: str) -> type[Recommender]:
    """Class of a model by its name on the command line.

    Raises:
        ConfigError: No such model.
    """
    if name not in MODELS:
        raise ConfigError(f"there is no model {name!r}; `tfrec models` lists the zoo: {', '.join(MODELS)}.")
    return MODELS[name].load()


def describe(catalog_size: int = 10_000) -> dict[str, dict[str, str | int]]:
    """What `tfrec models` shows.

    Args:
        catalog_size: Items for which the parameters are counted; models of features have as many users.

    Returns:
        Name -> paper, objective, needs, parameters of the model with its class's defaults, and those of the patches of
        one task with their share of the layers that they patch ("" for a model that takes none).
    """
    rows: dict[str, dict[str, str | int]] = {}
    for name, entry in MODELS.items():
        model = entry.load().of_size(catalog_size)
        rows[name] = {
            "paper": entry.paper,
            "objective": entry.objective,
            "needs": entry.needs,
            "parameters": model.count_params(),
            "patches": _patches(model),
        }
    return rows


def _patches(model: Recommender) -> str:
    backbone: Any = getattr(model, "backbone", None)
    if not hasattr(backbone, "patch_places"):
        return ""
    count = inject(backbone, PatchConfig()).patch_parameters
    return f"{count:,} ({count / backbone.layer_parameters:.1%})"
