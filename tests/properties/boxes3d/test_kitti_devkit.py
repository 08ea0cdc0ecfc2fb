"""KITTI's metric against the curves that the devkit's own compiled program wrote for 40 made-up images."""

from pathlib import Path

import numpy as np
import pytest

from centernet_tf.properties.boxes3d.kitti import KittiBoxes3d
from centernet_tf.properties.boxes3d.records import from_columns
from centernet_tf.properties.metric import ImageKey

GOLDEN = Path(__file__).parents[2] / "golden" / "kitti_devkit.npz"
NAMES = ("Pedestrian", "Car", "Cyclist")
KINDS = (*NAMES, "Van", "Truck", "Person_sitting", "DontCare")
LOOKS_LIKE = (0, 1, 2, 1, 1, 0, -1)


@pytest.mark.parametrize(("row", "protocol"), enumerate(("original", "kitti")))
def test_against_the_devkit_itself(row, protocol):
    with np.load(GOLDEN) as file:
        data = dict(file)
    metric = KittiBoxes3d(NAMES, protocol, devkit=True)
    for image in range(40):
        found, truth = (data[f"{what}_rows"][data[f"{what}_image"] == image] for what in ("found", "truth"))
        kinds = data["truth_kind"][data["truth_image"] == image]
        detections = {"boxes": found[:, 2:6], "scores": found[:, 14]}
        detections |= from_columns(found[:, 6:14])
        detections["classes"] = data["found_kind"][data["found_image"] == image]
        there = {
            "boxes": truth[:, 2:6],
            **from_columns(truth[:, 6:14]),
            "classes": np.array(LOOKS_LIKE)[kinds],
            "ignored": kinds > 2,
            "names": [KINDS[kind] for kind in kinds],
            "truncated": truth[:, 0],
            "occluded": truth[:, 1],
        }
        metric.update(ImageKey(image), detections, there)
    np.testing.assert_allclose(metric.result().precision[:, :, :3], data["curves"][row], atol=1e-6)
