import keras
import pytest

from tfrec_zoo.runs.run_config import TrainingConfig
from tfrec_zoo.training.schedules import make_schedule


def rates(steps: list[int], **values: object) -> list[float]:
    schedule = make_schedule(TrainingConfig(learning_rate=0.1, **values), 100)
    return [float(schedule(step)) if callable(schedule) else schedule for step in steps]


def test_schedules_begin_at_their_peak_and_decay_to_zero_at_the_end() -> None:
    assert rates([0, 99]) == [0.1, 0.1]
    assert rates([0, 50, 100], schedule="cosine") == pytest.approx([0.1, 0.05, 0], abs=1e-7)
    assert rates([0, 25, 100], schedule="linear") == pytest.approx([0.1, 0.075, 0], abs=1e-7)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [0.1, 0.1, 0.1]), ("cosine", [0.1, 0.05, 0]), ("linear", [0.1, 0.05, 0])],
)
def test_a_warm_up_comes_first_and_is_linear(schedule: str, expected: list[float]) -> None:
    steps = [0, 10, 20, 60, 100]
    assert rates(steps, schedule=schedule, warmup_share=0.2) == pytest.approx([0, 0.05, *expected], abs=1e-7)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
def test_a_saved_schedule_is_the_same_again(schedule: str) -> None:
    config = TrainingConfig(learning_rate=0.1, schedule=schedule, warmup_share=0.1)
    made = make_schedule(config, 50)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert [float(again(step)) for step in range(51)] == [float(made(step)) for step in range(51)]
