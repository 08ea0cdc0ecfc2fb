"""Steps of products of two variables are those worked out by hand, whatever order TensorFlow would like."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from centernet_tf.points.centers import Centers
from centernet_tf.points.task_set import TaskSet
from centernet_tf.preprocess import Normalization
from centernet_tf.tasks.detect import Detect
from centernet_tf.training.trainer import Trainer

RATE = 0.01


class Product(keras.layers.Layer):
    """A total of two learnt weights and nothing else: the gradient of each is the other."""

    def __init__(self):
        super().__init__(dtype="float32")
        self.first = self.add_weight(shape=(), initializer=keras.initializers.Constant(1.5), name="first")
        self.second = self.add_weight(shape=(), initializer=keras.initializers.Constant(-0.7), name="second")

    def call(self, terms):
        return self.first * self.second + 0 * sum(terms.values())

    def both(self):
        return tuple(np.float32(ops.convert_to_numpy(weight)) for weight in (self.first, self.second))


def trainer_of(product):
    """A network of one convolution below a task whose loss is the product."""
    image = keras.Input((None, None, 3), name="image")
    centers = Centers(2)
    task = dataclasses.replace(Detect().build(centers), combine=product)
    heads = {head.name: [layers.Conv2D(head.channels, 4, 4, name=f"{head.name}_out")(image)] for head in task.heads}
    trainer = Trainer(
        keras.Model(image, heads), TaskSet((task,), centers.locate, centers.peaks), Normalization(), (16, 16)
    )
    trainer.compile(keras.optimizers.SGD(RATE), loss=None, jit_compile=keras.backend.backend() == "jax")
    return trainer


@pytest.fixture
def batch():
    inputs = {"image": np.zeros((1, 16, 16, 3), np.uint8), "color": np.float32([[1, 0, 0, 0, 0, 0]])}
    rows = {"boxes": np.float32([[[2, 2, 9, 9]]]), "classes": np.zeros((1, 1), np.int32)}
    return inputs, {**rows, "crowd": np.zeros((1, 1), bool), "valid": np.ones((1, 1), bool)}


@pytest.mark.parametrize("steps", [50, pytest.param(1000, marks=pytest.mark.long)])
def test_every_step_is_the_one_by_hand(steps, batch):
    product = Product()
    trainer, came = trainer_of(product), [product.both()]
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: came.append(product.both()))

    def batches():
        while True:
            yield batch

    trainer.fit(batches(), epochs=steps, steps_per_epoch=1, callbacks=[note], verbose=0)
    assert len(came) == steps + 1
    wrong = []
    for number, ((first, second), after) in enumerate(itertools.pairwise(came)):
        if not np.allclose(after, (first - RATE * second, second - RATE * first), rtol=1e-5, atol=1e-6):
            wrong.append(number)
    assert not wrong, f"{len(wrong)} of {steps} steps"
