"""Golden values of the originals that tubes are compared with; see `tests/golden/README.md`."""

import json
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "golden" / "points"


@pytest.fixture(scope="session")
def golden_points():
    """Function name -> ({name: array}, meta)."""

    def read(name):
        with np.load(FOLDER / f"{name}.npz") as file:
            arrays = dict(file)
        return arrays, json.loads(arrays.pop("meta").tobytes())

    return read


@pytest.fixture(scope="session")
def golden_windows(golden_points):
    """Function (name of a file, video) -> {first frame: rows} of the tubelets in it, class by class."""

    def read(name, video):
        arrays, meta = golden_points(name)
        labels = sorted(int(key.split("/")[-1]) for key in arrays if key.startswith(f"start/{video}/"))
        windows = {}
        for start in range(1, meta["videos"][video] - meta["K"] + 2):
            own = [arrays[f"tubelets/{video}/{label}"][arrays[f"start/{video}/{label}"] == start] for label in labels]
            rows = np.concatenate(own)
            windows[start] = {
                "tubelets": rows[:, :-1].reshape(len(rows), meta["K"], 4),
                "scores": rows[:, -1],
                "classes": np.repeat(labels, [len(one) for one in own]),
            }
        return windows

    return read
