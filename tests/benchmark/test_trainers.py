"""Training steps on noise learn something, of as many objects as were asked for."""

import numpy as np
import pytest

from centernet_tf.benchmark.trainers import card_of, noise, trainer_of


@pytest.mark.parametrize(("objects", "rows", "shipped"), [(1, None, 1), (3, 8, 8)])
def test_noise_has_as_many_objects_as_wanted(objects, rows, shipped):
    card = card_of("tiny", 64, classes=5)
    inputs, found = noise(card, 2, objects, (4, 9), rows)
    assert inputs["image"].shape == (2, 64, 64, 3) and inputs["color"].shape == (2, 6)
    assert found["boxes"].shape == (2, shipped, 4) and found["valid"].sum() == 2 * objects
    sides = found["boxes"][..., 2:] - found["boxes"][..., :2]
    assert (sides > 3.99).all() and (sides < 9.01).all()
    assert found["classes"].max() < 5


def test_steps_change_the_loss():
    card = card_of("tiny", 64, classes=2)
    trainer, batch = trainer_of(card), noise(card, 2, 3)
    first, second = (float(trainer.train_on_batch(*batch, return_dict=True)["loss"]) for _ in range(2))
    assert np.isfinite([first, second]).all() and first != second
