import io

import numpy as np
import pytest
from PIL import Image

from centernet_tf.geometry.camera import corners, project
from centernet_tf.inspect.report import IGNORED, InspectionReport, Sample, Spread, area_names
from centernet_tf.media.draw import class_colors
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import from_columns
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.draw import COLORS
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.tracks import Tracks


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


def report_of(samples, path, *declared):
    nothing = dict.fromkeys(
        ("images", "objects", "crowd", "difficult", "lost_peak_fraction", "shared_cell_fraction"), 0
    )
    return InspectionReport(
        path=path,
        name="pets",
        split="train",
        classes=("cat", "dog"),
        size=(64, 64),
        ignored={},
        per_class={},
        image_sizes={},
        areas={},
        box_cells=Spread(),
        objects_per_image=Spread(),
        properties={},
        findings=[],
        declared=declared,
        samples=samples,
        **nothing,
    )


def test_sheet_draws_objects_and_leaves_out_what_is_no_image(tmp_path):
    rows = {
        "boxes": np.array([[5, 20, 30, 35.0]]),
        "classes": np.array([1]),
        "ignored": np.array([False]),
        "keypoints": np.array([[[40.0, 10], [50, 10], [0, 0]]]),
        "keypoint_labels": np.array([[2, 1, 0]]),
    }
    samples = [Sample("a.png", png(), rows, ("dog",)), Sample("b.png", b"no", rows, ("dog",))]
    face = Keypoints(skeleton=Skeleton(keypoints=("nose", "eye", "tail")))
    sheet = report_of(samples, tmp_path, face).sheet(tile=130)
    assert 120 < sheet.shape[1] < 240
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 4
    assert (sheet == COLORS[0]).all(axis=-1).any()


@pytest.mark.parametrize("scale", [1, 3])
def test_sheet_shows_3d_boxes_where_the_camera_sees_them_and_a_panel(tmp_path, scale):
    camera = np.array([[60, 0, 30, 0], [0, 60, 20, 0], [0, 0, 1, 0]], np.float32)
    boxes3d = np.array([[0, 2, 2, 2, 1, 1, 8, 0.3], [np.nan] * 8], np.float32)
    rows = {
        "boxes": np.array([[0, 0, 1, 1], [3, 25, 12, 38.0]]),
        "classes": np.array([1, -1]),
        "ignored": np.array([False, True]),
        "camera": camera,
        **from_columns(boxes3d),
    }
    sheet = report_of([Sample("a.png", png(), rows, ("", ""))], tmp_path, Boxes3d()).sheet(tile=60 * scale)
    assert sheet.shape[1] >= scale * 100
    image = sheet[6 + 22 :, 6 : 6 + 60 * scale]
    grey = np.argwhere((image == IGNORED).all(axis=-1))
    np.testing.assert_allclose(grey.min(axis=0), [25 * scale, 3 * scale], atol=1)
    pixels = project(corners(boxes3d[0, 4:7], boxes3d[0, 1:4], boxes3d[0, 7]), camera) * scale
    red = class_colors([1])[0].astype(int)
    seen = np.argwhere(np.abs(image - red).sum(axis=-1) < 60)
    np.testing.assert_allclose(seen.min(axis=0)[::-1], pixels.min(axis=0), atol=2)
    np.testing.assert_allclose(seen.max(axis=0)[::-1], pixels.max(axis=0), atol=2)


def test_json_leaves_out_what_is_for_looking(tmp_path):
    told = report_of([], tmp_path, Boxes3d()).to_dict()
    assert not {"declared", "facts", "tables", "samples"} & set(told) and told["properties"] == {}


def test_sheet_shows_the_way_through_the_frames_before(tmp_path):
    def rows_at(left):
        boxes = np.array([[left, 10, left + 8, 18.0]])
        return {"boxes": boxes, "classes": np.array([1]), "ignored": np.array([False]), "track_ids": np.array([4])}

    sheets = [
        report_of([Sample("a.png", png(), rows_at(50), ("",), before)], tmp_path, Tracks()).sheet(tile=60)
        for before in ((), (rows_at(2), rows_at(20)))
    ]
    lit = np.argwhere((sheets[0] != sheets[1]).any(axis=-1)) - [6 + 22, 6]  # behind the margin and the title
    assert 4 <= lit[:, 1].min() <= 7 and lit[:, 0].min() >= 12 and lit[:, 0].max() <= 16
