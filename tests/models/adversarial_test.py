"""What models with a discriminator share."""

import pytest

from tests.models import cgan_test, seqgan_test
from tests.models.model_contract import Inputs, inputs, new_model
from tfrec_zoo.dataset_spec import DatasetSpec
from tfrec_zoo.errors import ConfigError
from tfrec_zoo.models.adversarial import AdversarialRecommender
from tfrec_zoo.models.cgan import CGAN
from tfrec_zoo.models.seqgan import SeqGAN


@pytest.mark.parametrize(
    ("model_class", "config", "dataset", "inputs"),
    [(SeqGAN, seqgan_test.SMALL, "spec", inputs), (CGAN, cgan_test.SMALL, "positives", cgan_test.inputs)],
    ids=["seqgan", "cgan"],
)
def test_parts_of_a_batch_are_refused(
    model_class: type[AdversarialRecommender],
    config: dict,
    dataset: str,
    inputs: Inputs,
    request: pytest.FixtureRequest,
) -> None:
    spec: DatasetSpec = request.getfixturevalue(dataset)
    model = new_model(model_class, config, spec)
    model.accumulate_steps = 2
    name = model_class.__name__.lower()
    with pytest.raises(ConfigError, match=f"{name} plays with whole batches: leave training.accumulate_steps at 1"):
        model.train_step(next(iter(inputs(model, spec))))
