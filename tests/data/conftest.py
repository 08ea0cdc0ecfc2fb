"""A record to change."""

import io

import numpy as np
import pytest
from PIL import Image

from centernet_tf.data.record import Record


@pytest.fixture(scope="session")
def make_record():
    """A function that makes records of 64 x 48 pixels; arguments replace the fields of two objects."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (10, 200, 30)).save(stream, "PNG")

    def make(boxes=((1, 2, 30.5, 40.25), (0, 0, 64, 48)), classes=(0, 2), **changes):
        count = len(classes)
        values = {
            "image": stream.getvalue(),
            "format": "png",
            "width": 64,
            "height": 48,
            "image_id": 7,
            "filename": "bïld.png",
            "boxes": np.asarray(boxes, np.float32).reshape(-1, 4),
            "classes": np.asarray(classes, np.int64),
            "crowd": np.arange(count) % 2 == 1,
            "difficult": np.arange(count) % 2 == 0,
            "area": np.arange(count, dtype=np.float32) + 5,
        }
        return Record(**{**values, **changes})

    return make
