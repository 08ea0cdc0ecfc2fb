import keras
import numpy as np
import pytest
from keras import layers

from centernet_tf.points.centers import Centers
from centernet_tf.preprocess import Normalization
from centernet_tf.properties.fields import SHARED
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.detect import Detect
from centernet_tf.training.trainer import Trainer

SIZE = (32, 64)
FASTEST = {"run_eagerly": True} if keras.backend.backend() == "tensorflow" else {"jit_compile": True}


@pytest.fixture
def make_trainer():
    """A function that makes a trainer around a network of two layers, with one stack or several.

    For a step or two, TensorFlow would compile longer than it runs; whole runs compile theirs.
    """

    def make(stacks=1, ema=0.0, rate=0.01, classes=3, width=4, optimizer=None, **centers):
        keras.utils.set_random_seed(0)
        tasks = build_tasks({"detect": Detect()}, Centers(classes, max_objects=5, **centers))
        image = keras.Input((None, None, 3), name="image")
        features = layers.BatchNormalization(name="norm")(layers.Conv2D(width, 4, 4, name="stem")(image))
        outputs = {
            head.name: [
                layers.Conv2D(head.channels, 1, dtype="float32", name=f"{head.name}_{stack}")(features)
                for stack in range(stacks)
            ]
            for head in tasks.heads
        }
        trainer = Trainer(keras.Model(image, outputs), tasks, Normalization(), SIZE, ema)
        trainer.compile(optimizer or keras.optimizers.Adam(rate), loss=None, **FASTEST)
        trainer.optimizer.build(trainer.trainable_variables)
        return trainer

    return make


@pytest.fixture
def make_batch(rows):
    """A function that makes (inputs, rows) of noise with three objects an image."""

    def make(seed=0, images=2, objects=3, **more):
        random = np.random.default_rng(seed)
        inputs = {
            "image": random.integers(0, 256, (images, *SIZE, 3)).astype(np.uint8),
            "color": np.tile(np.float32([1, 0, 0, 0, 0, 0]), (images, 1)),
        }
        return inputs | more, rows(SHARED, SIZE, images, objects, seed=seed)

    return make
