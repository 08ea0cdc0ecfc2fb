"""Golden values of the originals that tasks are compared with; see `tests/golden/README.md`."""

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "golden" / "tracking"


@pytest.fixture(scope="session")
def golden():
    """Function name -> ({name: array}, meta)."""

    def read(name):
        with np.load(FOLDER / f"{name}.npz") as file:
            arrays = dict(file)
        return arrays, json.loads(arrays.pop("meta").tobytes())

    return read
