"""Records that fit every settings file that is shipped."""

from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.interactions import Interactions
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import COCO_PERSON
from centernet_tf.properties.masks import Masks


class Records:
    """Records with every property that a task might want."""

    directory, classes = "records", ("person", "car")

    def overall(self, name):
        return SimpleNamespace(identities=SimpleNamespace(per_class=(5, 3)))

    def property(self, name):
        known = (Keypoints(skeleton=COCO_PERSON), Boxes3d(), Masks(), Interactions(verbs=("drive", "walk")))
        return {one.name: one for one in known}[name]

    def head(self, count):
        pairs = {"pairs": np.array([[0, 1], [0, -1]]), "verbs": np.array([0, 1])}
        return [SimpleNamespace(rows={"camera": DEFAULT_CAMERA, **pairs})]


@pytest.fixture(scope="session")
def records():
    return Records()
