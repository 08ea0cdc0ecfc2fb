"""Golden values of the originals that tasks are compared with; see `tests/golden/README.md`."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

FOLDER = Path(__file__).parents[1] / "golden"


def read_golden(folder):
    """Function name -> ({name: array}, meta)."""

    def read(name):
        with np.load(FOLDER / folder / f"{name}.npz") as file:
            arrays = dict(file)
        return arrays, json.loads(arrays.pop("meta").tobytes())

    return read


@pytest.fixture(scope="session")
def golden():
    """Of trackers."""
    return read_golden("tracking")


@pytest.fixture(scope="session")
def points_golden():
    """Of what else is found at points."""
    return read_golden("points")


class Maps(keras.Model):
    """Maps that are trained themselves, to get at the gradients of a loss on any backend."""

    def __init__(self, start, function, layers):
        super().__init__()
        self.maps = {name: self.add_weight(shape=value.shape, name=name) for name, value in start.items()}
        for name, value in start.items():
            self.maps[name].assign(value)
        self.function, self.further = function, list(layers)

    def call(self, inputs):
        return inputs + 0 * sum(ops.sum(one) for one in self.maps.values())

    def compute_loss(self, *arguments, **settings):
        return self.function({name: [ops.convert_to_tensor(one)] for name, one in self.maps.items()})


@pytest.fixture(scope="session")
def gradients():
    """Function (loss of {name: [map]}, {name: start}, built layers of the loss) -> gradients of maps and of weights.

    Weights are named "layer/weight". They have moved afterwards.
    """

    def walk(function, start, layers=()):
        model = Maps(start, function, layers)
        # JAX would otherwise compile each operation on its own, which takes it five times as long.
        jit = keras.backend.backend() == "jax"
        model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=jit)
        weights = {f"{layer.name}/{weight.name}": weight for layer in layers for weight in layer.weights}
        before = {**start, **{name: ops.convert_to_numpy(weight) for name, weight in weights.items()}}
        # One step of SGD at rate 1 walks the gradients.
        model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
        after = {**model.maps, **weights}
        return {name: value - ops.convert_to_numpy(after[name]) for name, value in before.items()}

    return walk


@pytest.fixture(scope="session")
def crowd():
    """Function (seed) -> frames of objects to be followed, one by one.

    They walk over each other, are missed, hidden, found twice or out of nothing; looks differ a little.
    """

    def frames_of(seed, frames=40, people=8, classes=2, looks=True):
        random = np.random.default_rng(seed)
        middle, pace = random.uniform(0, 120, (people, 2)), random.normal(0, 3, (people, 2))
        sides, kinds = random.uniform(12, 50, (people, 2)), random.integers(0, classes, people)
        faces = random.normal(size=(people, 6))
        for _ in range(frames):
            middle = middle + pace + random.normal(0, 0.5, middle.shape)
            who = np.flatnonzero(random.random(people) < 0.75)
            who = np.concatenate([who, who[random.random(len(who)) < 0.1], random.integers(0, people, 1)])
            place = middle[who] + random.normal(0, 1.5, (len(who), 2))
            place[-1] = random.uniform(0, 120, 2)
            look = faces[who] + random.normal(0, 0.4, (len(who), 6))
            order = np.argsort(-(scores := random.uniform(0.1, 1, len(who))))
            found = {
                "boxes": np.concatenate([place - sides[who] / 2, place + sides[who] / 2], axis=1).astype(np.float32),
                "scores": scores.astype(np.float32),
                "classes": kinds[who],
                "embeddings": (look / np.linalg.norm(look, axis=1, keepdims=True)).astype(np.float32),
            }
            yield {name: values[order] for name, values in found.items() if looks or name != "embeddings"}

    return frames_of
