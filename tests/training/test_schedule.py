import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError
from centernet_tf.training.schedule import Schedule, build_optimizer, continuation


def rate(schedule, step):
    return float(ops.convert_to_numpy(schedule(step)))


def settings(**train):
    return parse_settings({"data": {"train": "records"}, "train": train}, "here")


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, {0: 1, 1000: 1}),
        ({"warmup": 10}, {0: 0.01, 5: 0.505, 10: 1, 11: 1, 1000: 1}),
        ({"drops": (5, 8)}, {0: 1, 4: 1, 5: 0.1, 7: 0.1, 8: 0.01, 1000: 0.01}),
        ({"drops": (5,), "warmup": 10}, {5: 0.0505, 10: 0.1}),
        ({"total": 100}, {0: 1, 25: 0.8535534, 50: 0.5, 75: 0.1464466, 100: 0, 200: 0}),
        ({"total": 110, "warmup": 10}, {0: 0.01, 10: 1, 60: 0.5, 110: 0}),
        ({"total": 10, "warmup": 10}, {5: 0.505, 10: 1, 11: 0}),
    ],
)
def test_values(options, values):
    schedule = Schedule(2.0, **options)
    for step, share in values.items():
        assert rate(schedule, step) == pytest.approx(2 * share, abs=1e-6), step


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"drop_epochs": [9]}, "it has no further steps, and is 0.001 at this step."),
        ({"drop_epochs": [1, 3]}, "it drops to a tenth after epoch 1 and 3, and is 0.0001 at this step."),
        (
            {"schedule": "cosine"},
            "it follows a cosine down to epoch 4, no longer to 2, and is 0.0005 and not 0 at this step.",
        ),
    ],
)
def test_more_epochs_are_explained(options, text):
    before, now = (settings(epochs=epochs, learning_rate=1e-3, **options) for epochs in (2, 4))
    said = continuation(before, now, steps_per_epoch=10, step=20)
    assert said.startswith("Epochs: 4, until now 2. The learning rate is that of a run of 4 epochs from the start: ")
    assert said.endswith(text)


def test_written_and_read():
    schedule = Schedule(0.5, warmup=3, drops=(4, 9), total=20)
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert [rate(again, step) for step in range(25)] == [rate(schedule, step) for step in range(25)]


def test_settings_reach_the_optimizer():
    optimizer = build_optimizer(settings(batch_size=64, clip_norm=10, drop_epochs=[2, 3], epochs=4), steps_per_epoch=5)
    assert type(optimizer) is keras.optimizers.Adam
    assert optimizer.epsilon == 1e-8
    assert optimizer.global_clipnorm == 10
    schedule = optimizer._learning_rate
    assert [rate(schedule, step) for step in (0, 9, 10, 15)] == pytest.approx([2.5e-4, 2.5e-4, 2.5e-5, 2.5e-6])
    cosine = build_optimizer(settings(schedule="cosine", learning_rate=1, epochs=4), steps_per_epoch=5)._learning_rate
    assert [rate(cosine, step) for step in (0, 10, 20)] == pytest.approx([1, 0.5, 0], abs=1e-6)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_decay_spares_biases_and_normalisation(name):
    optimizer = build_optimizer(settings(optimizer=name, weight_decay=0.5, learning_rate=0.1), 5)
    names = ["kernel", "bias", "gamma", "beta", "offset_kernel", "offset_bias"]
    variables = [keras.Variable(np.ones(2, np.float32), name=name) for name in names]
    optimizer.build(variables)
    optimizer.apply([ops.zeros(2)] * len(variables), variables)
    decayed = {variable.name for variable in variables if ops.convert_to_numpy(variable)[0] < 1}
    assert decayed == {"kernel", "offset_kernel"}


def test_sgd_has_momentum():
    optimizer = build_optimizer(settings(optimizer="sgd", learning_rate=0.1), 5)
    variable = keras.Variable(np.zeros(1, np.float32), name="kernel")
    optimizer.build([variable])
    places = []
    for _ in range(3):
        optimizer.apply([ops.ones(1)], [variable])
        places.append(ops.convert_to_numpy(variable)[0])
    assert places == pytest.approx([-0.1, -0.29, -0.561])


@pytest.mark.parametrize(
    ("train", "said"),
    [
        ({"optimizer": "sgd"}, "learning_rate is 'auto': a rule of Adam's. Give sgd a number, such as 0.01."),
        ({"weight_decay": 0.1}, "weight_decay is 0.1: adam has none. Set train.optimizer to adamw or sgd."),
    ],
)
def test_what_an_optimizer_does_not_take(train, said):
    with pytest.raises(UsageError) as error:
        settings(**train)
    assert str(error.value) == f"here: train: {said}"


def test_steps_are_batches_where_gradients_accumulate():
    """A drop after 4 batches comes after 4 batches, not after 4 updates of two batches each."""
    options = {"learning_rate": 1.0, "accumulate": 2, "epochs": 3, "drop_epochs": [1]}
    optimizer = build_optimizer(settings(**options), steps_per_epoch=4)
    variable = keras.Variable(np.zeros(1, np.float32), name="kernel")
    optimizer.build([variable])
    seen = []
    for _ in range(8):
        before = ops.convert_to_numpy(variable)[0]
        optimizer.apply([ops.ones(1)], [variable])
        seen.append(before - ops.convert_to_numpy(variable)[0])
    # Adam moves by the rate where the gradient stays the same.
    assert seen == pytest.approx([0, 1, 0, 1, 0, 0.1, 0, 0.1], abs=2e-3)
