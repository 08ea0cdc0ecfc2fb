import io

import numpy as np
import pytest
from PIL import Image

from centernet_tf.draw_joints import COLORS
from centernet_tf.inspect.report import InspectionReport, Sample, Spread, area_names
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


def test_sheet_draws_boxes_and_leaves_out_what_is_no_image(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), (90, 90, 90)).save(stream, "PNG")
    box, labels = np.array([[5, 20, 30, 35.0]]), np.array([1])
    joints = np.array([[[40, 10, 2], [50, 10, 1], [0, 0, 0]]])
    annotation = (box, labels, ("dog",), joints)
    samples = [Sample("a.png", stream.getvalue(), *annotation), Sample("b.png", b"no", *annotation)]
    nothing = dict.fromkeys(("images", "objects", "crowd", "difficult", "lost_peak_share", "shared_cell_share"), 0)
    report = InspectionReport(
        path=tmp_path,
        name="pets",
        split="train",
        classes=("cat", "dog"),
        size=(64, 64),
        per_class={},
        skeleton=Skeleton(joints=("nose", "eye", "tail")),
        joints={},
        image_sizes={},
        areas={},
        box_cells=Spread(),
        objects_per_image=Spread(),
        findings=[],
        samples=samples,
        **nothing,
    )
    sheet = report.sheet(tile=130)
    assert 120 < sheet.shape[1] < 240
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 4
    assert (sheet == COLORS[0]).all(axis=-1).any()
