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

    def __init__(self, start, function):
        super().__init__()
        self.maps = {name: self.add_weight(shape=value.shape, name=name) for name, value in start.items()}
        for name, value in start.items():
            self.maps[name].assign(value)
        self.function = function

    def call(self, inputs):
        return inputs + 0 * sum(ops.sum(one) for one in self.maps.values())

    def compute_loss(self, *arguments, **settings):
        return self.function({name: [ops.convert_to_tensor(one)] for name, one in self.maps.items()})


def walked(function, start):
    """One step of SGD at rate 1 walks the gradients."""
    model = Maps(start, function)
    model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    model.train_on_batch(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
    return {name: value - ops.convert_to_numpy(model.maps[name]) for name, value in start.items()}


@pytest.fixture(scope="session")
def gradients():
    """Function (function of {head: [map]}, {head: map}) -> {head: gradient}."""
    return walked
