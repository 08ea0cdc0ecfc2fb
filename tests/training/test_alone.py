"""Losses of the validation set that one device measures while several train."""

import keras
import pytest
from keras import ops

from centernet_tf.training.alone import ValidationLoss
from centernet_tf.training.devices import Devices


def test_losses_of_a_twin_are_those_of_the_trainer(make_trainer, make_batch):
    import tensorflow as tf

    batch = make_batch(images=3)
    images = tf.data.Dataset.from_tensor_slices(batch).batch(2)
    trainer, made = make_trainer(), []
    trainer.train_on_batch(*batch)
    expected = trainer.evaluate(images, verbose=0, return_dict=True)
    before = [ops.convert_to_numpy(weight) for weight in trainer.network.weights]

    def twin():
        made.append(make_trainer())
        return made[-1]

    measured = ValidationLoss(twin, images, 2, Devices())
    measured.set_model(trainer)
    logs = {}
    measured.on_epoch_end(0, logs)
    assert not logs and not made
    for epoch in (1, 3):
        measured.on_epoch_end(epoch, logs := {})
        assert logs == pytest.approx({f"val_{name}": value for name, value in expected.items()}, rel=1e-5)
    assert len(made) == 1 and made[0] is not trainer
    for weight, value in zip(trainer.network.weights, before, strict=True):
        assert keras.ops.all(weight.value == value)
