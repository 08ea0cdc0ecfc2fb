"""Golden values of the originals that tasks are compared with; see `tests/golden/README.md`."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

FOLDER = Path(__file__).parents[1] / "golden" / "tracking"


@pytest.fixture(scope="session")
def golden():
    """Function name -> ({name: array}, meta)."""

    def read(name):
        with np.load(FOLDER / f"{name}.npz") as file:
            arrays = dict(file)
        return arrays, json.loads(arrays.pop("meta").tobytes())

    return read


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
        model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
        weights = {f"{layer.name}/{weight.name}": weight for layer in layers for weight in layer.weights}
        before = {**start, **{name: ops.convert_to_numpy(weight) for name, weight in weights.items()}}
        # One step of SGD at rate 1 walks the gradients.
        model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
        after = {**model.maps, **weights}
        return {name: value - ops.convert_to_numpy(after[name]) for name, value in before.items()}

    return walk
