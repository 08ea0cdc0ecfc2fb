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
