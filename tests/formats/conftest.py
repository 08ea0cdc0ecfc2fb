"""What the formats are written from: a few images, a frame, and what was found in them."""

from pathlib import Path

import numpy as np
import pytest

from centernet_tf.media.sources import Source
from centernet_tf.results import Detections

NAMES = ("person", "hot/dog")


@pytest.fixture
def image():
    """[6, 8, 3] uint8, every pixel tells its column and its row."""
    rows, columns = np.mgrid[:6, :8]
    return np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8) * 20


@pytest.fixture
def found():
    """A person inside the image, a dog that leaves it, and a person all of whom is outside."""
    boxes = [[1, 2, 4, 5], [5.5, -3, 11, 3], [9, 0, 12, 4]]
    return Detections(boxes, [0.91234, 0.5, 0.4], [0, 1, 0], NAMES, (8, 6))


@pytest.fixture
def source():
    """Function (path) -> an image or video of this name."""

    def make(name):
        path = Path(name)
        return Source(path, path.suffix == ".mp4", path.name)

    return make


@pytest.fixture
def write(found, image):
    """Function (format, *(source, frame)) -> None; each shows the same."""

    def run(made, *shown, properties=(), found=found):
        made.check([source for source, _ in shown])
        with made.opened(found.names, properties) as tell:
            for source, frame in shown:
                tell(source, frame, image, found)

    return run
