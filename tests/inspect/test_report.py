import io

import numpy as np
import pytest
from PIL import Image

from centernet_tf.draw import class_colors
from centernet_tf.draw_joints import COLORS
from centernet_tf.geometry.camera import corners, project
from centernet_tf.inspect.report import NEUTRAL, InspectionReport, Sample, Spread, area_names
from centernet_tf.skeleton import Skeleton


@pytest.mark.parametrize(
    ("values", "spread"), [([], Spread()), ([3.0], Spread(3, 3, 3, 3)), ([1, 2, 6], Spread(1, 2, 3, 6))]
)
def test_spread(values, spread):
    assert Spread.of(values) == spread


@pytest.mark.parametrize(
    ("areas", "counts"),
    [([], (0, 0, 0)), ([1023.9, 1024.0, 9215.9, 9216.0], (1, 2, 1))],
)
def test_areas_by_the_bounds_of_coco(areas, counts):
    assert tuple(area_names(np.array(areas)).values()) == counts


def png(width=60, height=40):
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (90, 90, 90)).save(stream, "PNG")
    return stream.getvalue()


def report_of(samples, path, skeleton=None):
    nothing = dict.fromkeys(("images", "objects", "crowd", "difficult", "lost_peak_share", "shared_cell_share"), 0)
    return InspectionReport(
        path=path,
        name="pets",
        split="train",
        classes=("cat", "dog"),
        size=(64, 64),
        neutral={},
        depths=None,
        per_class={},
        skeleton=skeleton,
        joints={},
        image_sizes={},
        areas={},
        box_cells=Spread(),
        objects_per_image=Spread(),
        findings=[],
        samples=samples,
        **nothing,
    )


def test_sheet_draws_boxes_and_leaves_out_what_is_no_image(tmp_path):
    box, labels = np.array([[5, 20, 30, 35.0]]), np.array([1])
    joints = np.array([[[40, 10, 2], [50, 10, 1], [0, 0, 0]]])
    annotation = (box, labels, ("dog",), joints)
    samples = [Sample("a.png", png(), *annotation), Sample("b.png", b"no", *annotation)]
    sheet = report_of(samples, tmp_path, Skeleton(joints=("nose", "eye", "tail"))).sheet(tile=130)
    assert 120 < sheet.shape[1] < 240
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 4
    assert (sheet == COLORS[0]).all(axis=-1).any()


@pytest.mark.parametrize("scale", [1, 3])
def test_sheet_shows_solids_where_the_camera_sees_them_and_a_map(tmp_path, scale):
    camera = np.array([[60, 0, 30, 0], [0, 60, 20, 0], [0, 0, 1, 0]], np.float32)
    solids = np.array([[0, 2, 2, 2, 1, 1, 8, 0.3], [np.nan] * 8], np.float32)
    boxes = np.array([[0, 0, 1, 1], [3, 25, 12, 38.0]])
    sample = Sample(
        "a.png", png(), boxes, np.array([1, -1]), ("", ""), np.zeros((2, 0, 3)), np.array([False, True]), solids, camera
    )
    sheet = report_of([sample], tmp_path).sheet(tile=60 * scale)
    assert sheet.shape[1] >= scale * 100
    image = sheet[6 + 22 :, 6 : 6 + 60 * scale]
    grey = np.argwhere((image == NEUTRAL).all(axis=-1))
    np.testing.assert_allclose(grey.min(axis=0), [25 * scale, 3 * scale], atol=1)
    pixels = project(corners(solids[0, 4:7], solids[0, 1:4], solids[0, 7]), camera) * scale
    red = class_colors([1])[0].astype(int)
    seen = np.argwhere(np.abs(image - red).sum(axis=-1) < 60)
    np.testing.assert_allclose(seen.min(axis=0)[::-1], pixels.min(axis=0), atol=2)
    np.testing.assert_allclose(seen.max(axis=0)[::-1], pixels.max(axis=0), atol=2)
