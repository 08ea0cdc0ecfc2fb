"""Toy tasks that need what the tasks to come need, each through real steps of training and through a detector."""

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.tasks import TASKS
from centernet_tf.training.trainer import Trainer

SIZE = (64, 96)
CLASSES = ("a", "b")
# A dozen steps are fewer than what tracing one costs on TensorFlow; JAX compiles them, as training does.
EAGERLY = keras.backend.backend() == "tensorflow"


@pytest.fixture
def make_card(monkeypatch):
    """A function that puts a task into the table and makes the card of a model that has it."""

    def make(settings, size=SIZE, **options):
        monkeypatch.setitem(TASKS, "toy", settings)
        plain = InputCard(height=size[0], width=size[1], stride=4, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
        options = {"max_objects": 6, **options}
        return ModelCard(tasks={"toy": {}}, backbone="tiny", classes=CLASSES, input=plain, **options)

    return make


@pytest.fixture
def make_network():
    """A function that makes the network of a card's task around the smallest trunk."""

    def make(card, seed=0):
        keras.utils.set_random_seed(seed)
        tasks = card.task_set()
        return build_network(card.backbone, tasks.heads, tasks.inputs, card.head_channels)

    return make


@pytest.fixture
def make_inputs():
    """A function that makes images or clips of noise, as batches of training have them."""

    def make(tasks, images=2, size=SIZE, seed=0):
        random = np.random.default_rng(seed)
        inputs = {"color": np.tile(np.float32([1, 0, 0, 0, 0, 0]), (images, 1))}
        for name, wanted in tasks.inputs.items():
            frames = (len(wanted.frames),) if len(wanted.frames) > 1 else ()
            if wanted.draw is None:
                inputs[name] = random.integers(0, 256, (images, *frames, *size, wanted.channels)).astype(np.uint8)
        return inputs

    return make


@pytest.fixture
def fit():
    """A function that trains and checks that every term falls; gives the trainer back."""

    def train(network, tasks, inputs, rows, card, steps=12, terms=None):
        trainer = Trainer(network, tasks, card.input.normalization, (card.input.height, card.input.width))
        trainer.compile(keras.optimizers.Adam(0.01), loss=None, run_eagerly=EAGERLY, jit_compile=not EAGERLY)
        trainer.optimizer.build(trainer.trainable_variables)
        batch = len(rows["valid"])
        found = trainer.fit(inputs, rows, batch_size=batch, epochs=steps, shuffle=False, verbose=0).history
        for name in [term.name for term in tasks.terms] if terms is None else terms:
            values = found[f"{name}_loss"]
            assert np.isfinite(values).all() and values[-1] < 0.9 * values[0], f"{name}: {values}"
        return trainer

    return train


@pytest.fixture
def detect(make_network):
    """A function that makes a detector of a card, around a network that knows nothing or the one given."""

    def make(card, network=None, **options):
        detector = Detector(network or make_network(card), card)
        detector = detector.with_options(**options) if options else detector
        detector.graph.run_eagerly = EAGERLY
        return detector

    return make
