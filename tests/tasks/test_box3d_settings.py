"""The usual camera of a model comes from its records."""

from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.tasks.box3d import Box3d


class Records:
    """What `complete` reads of a data set."""

    directory = "records"

    def __init__(self, cameras):
        self.cameras = cameras

    def property(self, name):
        return Boxes3d() if name == "boxes3d" and self.cameras is not None else None

    def head(self, count):
        return [SimpleNamespace(rows={"camera": camera}) for camera in self.cameras[:count]]


def test_the_usual_camera_is_the_median_of_the_records():
    cameras = np.stack([DEFAULT_CAMERA * [[1 + number], [1 + number], [1]] for number in (0.0, 0.1, 5.0)])
    found = Box3d(size=False).complete(Records(cameras))
    np.testing.assert_allclose(found.camera, cameras[1], rtol=1e-6)
    assert not found.size and Box3d.model_validate_json(found.model_dump_json()) == found
    given = Box3d(camera=DEFAULT_CAMERA)
    assert given.complete(Records(cameras)) is given
    with pytest.raises(UsageError, match="records: it has no cameras and 3D boxes, which task 'box3d' needs"):
        Box3d().complete(Records(None))
