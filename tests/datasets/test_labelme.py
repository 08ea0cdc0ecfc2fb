"""LabelMe's files: every kind of shape, images in every place, and what is wrong with either."""

import base64
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.labelme import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.keypoints.skeleton import Skeleton

WIDTH, HEIGHT = 64, 48
SQUARE = [[10, 5], [30, 5], [30, 25], [10, 25]]


def encoded(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def shape(points=((1, 2), (30, 40)), kind="rectangle", label="cat", **more):
    return {"label": label, "points": [list(point) for point in points], "shape_type": kind, "flags": {}, **more}


def add(folder, *shapes, name="a", image=True, **more):
    """Adds a file of annotations, and its image of 64 x 48 pixels beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    if image:
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{name}.jpg")
    content = {"version": "5.4", "imagePath": f"{name}.jpg", "imageData": None, "shapes": list(shapes)}
    content |= {"imageWidth": WIDTH, "imageHeight": HEIGHT, **more}
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def write(folder, split, **options):
    report = write_records(
        split.items,
        directory=folder / "out",
        name="pets",
        split="train",
        classes=split.classes,
        properties=split.properties,
        **options,
    )
    return report, list(iterate(open_dataset(folder / "out")))


def only(split):
    (item,) = split.items
    return item


def mask_of(item, number=0):
    return coco.decode({"size": [HEIGHT, WIDTH], "counts": item.rows["segmentations"][number]}).astype(bool)


@pytest.mark.parametrize(
    ("one", "box"),
    [
        (shape([[30, 40], [1, 2]]), (1, 2, 30, 40)),
        (shape(SQUARE), (10, 5, 30, 25)),
        (shape([[10, 5], [30.5, 7], [12, 20]], "polygon"), (10, 5, 30.5, 20)),
        ({"label": "cat", "points": SQUARE}, (10, 5, 30, 25)),
        (shape([[20, 20], [20, 30]], "circle"), (10, 10, 30, 30)),
        (shape([[3, 4], [6, 9]], "mask", mask=encoded(np.full((6, 4), 255, np.uint8))), (3, 4, 7, 10)),
    ],
)
def test_shapes_have_boxes(one, box, tmp_path):
    split = read(add(tmp_path, one))
    assert split.classes == ("cat",) and split.properties == ()
    report, (record,) = write(tmp_path, split)
    np.testing.assert_allclose(record.boxes, [box], atol=1e-5)
    assert (report.boxes_in, report.boxes_written) == (1, 1)


def test_a_file_without_shapes_is_background(tmp_path):
    add(tmp_path, name="a")
    split = read(add(tmp_path, shape(), name="b"))
    assert [item.num_boxes for item in split.items] == [0, 1]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (shape([[1, 2], [3, 4]], "line"), "line"),
        (shape(SQUARE, "linestrip"), "line"),
        (shape([[1, 2]], "point"), "point"),
        (shape(SQUARE, "oriented_rectangle"), "rotated rectangle"),
        (shape(SQUARE, "rotation", direction=0.5), "rotated rectangle"),
    ],
)
def test_shapes_without_an_upright_box_are_counted(one, reason, tmp_path):
    report, _ = write(tmp_path, read(add(tmp_path, shape(), one)))
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (2, 1, {reason: 1})


def test_shapes_of_a_group_are_one_object(tmp_path):
    parts = [shape([(x + dx, y) for x, y in SQUARE], "polygon", group_id=3) for dx in (0, 25)]
    other = shape([[1, 30], [5, 40], [9, 30]], "polygon", "dog", group_id=3)
    item = only(read(add(tmp_path, parts[0], other, parts[1]), masks=True))
    assert item.boxes.tolist() == [[10, 5, 55, 25], [1, 30, 9, 40]] and list(item.classes) == ["cat", "dog"]
    seen = mask_of(item)
    assert seen.sum() == 800 and not seen[:, 30:35].any()


def test_masks_of_every_kind(tmp_path):
    patch = np.zeros((6, 4), np.uint8)
    patch[2:, 1:] = 255
    shapes = [
        shape(SQUARE, "polygon"),
        shape(SQUARE, "rectangle"),
        shape([[3, 4], [6, 9]], "mask", mask=encoded(patch)),
        shape([[-1, 44], [2, 49]], "mask", mask=encoded(patch)),
        shape([[40, 24], [40, 34]], "circle"),
    ]
    split = read(add(tmp_path, *shapes), masks=True)
    item = only(split)
    assert mask_of(item)[5:25, 10:30].all() and mask_of(item).sum() == 400
    assert item.rows["segmentations"][1] == b""
    assert mask_of(item, 2)[4:10, 3:7].tolist() == (patch > 0).tolist() and mask_of(item, 2).sum() == 12
    assert mask_of(item, 3)[46:, :3].all() and mask_of(item, 3).sum() == 6
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    circle = np.hypot(x - 40, y - 24) < 10
    assert (mask_of(item, 4) & circle).sum() / (mask_of(item, 4) | circle).sum() > 0.93
    _, (record,) = write(tmp_path, split)
    assert record.rows["masks"].shape == (5, 64, 64) and not record.rows["masks"][1].any()


def test_regions_to_be_ignored_are_neither_objects_nor_background(tmp_path):
    split = read(add(tmp_path, shape(), shape(SQUARE, "polygon", "__ignore__")))
    assert split.classes == ("cat",)
    report, (record,) = write(tmp_path, split)
    assert record.ignored.tolist() == [False, True] and record.classes.tolist() == [0, -1]
    assert report.objects_per_class == {"cat": 1}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(-5, 70, width=32)] * 4), max_size=5))
def test_rectangles_are_read_as_they_are_drawn(tmp_path_factory, boxes):
    """From any corner to the opposite one."""
    drawn = [shape([[x1, y1], [x2, y2]]) for x1, y1, x2, y2 in boxes]
    item = only(read(add(tmp_path_factory.mktemp("labelme"), *drawn, image=False), classes=["cat"]))
    expected = [[min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)] for x1, y1, x2, y2 in boxes]
    assert item.boxes.tolist() == expected


def test_points_are_keypoints_of_their_group(tmp_path):
    skeleton = Skeleton.from_dict({"keypoints": ["nose", "tail"]})
    shapes = [
        shape([[5, 6]], "point", "tail", group_id=1),
        shape(group_id=1),
        shape(group_id=2),
        shape([[7, 8]], "point", "nose"),
    ]
    split = read(add(tmp_path, *shapes), skeleton=skeleton)
    report, (record,) = write(tmp_path, split)
    assert record.rows["keypoint_labels"].tolist() == [[0, 2], [0, 0]]
    assert record.rows["keypoints"][0].tolist() == [[0, 0], [5, 6]]
    assert report.boxes_dropped == {"point of no object or of several": 1}


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (shape([[5, 6]], "point", "ear", group_id=1), "is a point 'ear'; the skeleton has nose, tail"),
        (shape([[5, 6]], "point", "nose", group_id=1), "shape 3 of a.json is a second 'nose' of its object"),
    ],
)
def test_wrong_points_are_told(point, message, tmp_path):
    skeleton = Skeleton.from_dict({"keypoints": ["nose", "tail"]})
    split = read(
        add(tmp_path, shape(group_id=1), shape([[1, 1]], "point", "nose", group_id=1), point), skeleton=skeleton
    )
    with pytest.raises(DataError, match=message):
        write(tmp_path, split)


@pytest.mark.parametrize(
    ("one", "reason", "message"),
    [
        ("text", "annotation not readable", "shape 2 of a.json is 'text'; expected a label and points"),
        (shape(label=""), "annotation not readable", "shape 2 of a.json has the label ''; expected text"),
        (shape(label=None), "annotation not readable", "has the label None"),
        (shape(label="\ud800"), "annotation not readable", "has the label"),
        (shape(kind="star"), "annotation not readable", "has the shape_type 'star'; known are polygon, rectangle"),
        (shape(kind=["x"]), "annotation not readable", "has the shape_type ['x']; known are"),
        (shape([[1, 2]]), "annotation not readable", "has the points [[1, 2]]; a rectangle has a list of at least 2"),
        (shape([[1, 2], [3, 4]], "polygon"), "annotation not readable", "a polygon has a list of at least 3 pairs"),
        (shape([[1, 2], [3, "4"]]), "annotation not readable", "has the points"),
        (shape([[1, 2], [3, 10**400]]), "annotation not readable", "has the points"),
        (shape(group_id="one"), "annotation not readable", "has the group_id 'one'; expected a whole number"),
        (shape([[1, 2], [float("nan"), 4]]), "not a number", "shape 2 of a.json is not a number"),
        (shape([[1, 2], [1e308, 4]], "circle"), "far beyond the image", "shape 2 of a.json"),
        (shape([[5, 2], [5, 9]]), "zero area", "shape 2 of a.json has zero area"),
        (shape([[70, 2], [80, 9]]), "outside the image", "shape 2 of a.json lies outside the image"),
    ],
)
def test_bad_shapes_are_named(one, reason, message, tmp_path):
    split = read(add(tmp_path, shape(), one))
    with pytest.raises(DataError) as error:
        write(tmp_path, split)
    assert str(error.value).startswith("a.jpg: ") and message in str(error.value)
    report, _ = write(tmp_path, split, skip_bad=True)
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (2, 1, {reason: 1})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "has a mask that is no PNG in base64"),
        ("AAAA", "has a mask that is no PNG in base64"),
        ("?", "has a mask that is no PNG in base64"),
        (encoded(np.zeros((6, 4), np.uint8)), "has a mask without a pixel inside the image"),
        (encoded(np.ones((6, 99), np.uint8)), "99 x 6 pixels, more than its image"),
    ],
)
def test_bad_masks_are_named(given, message, tmp_path):
    folder = add(tmp_path, shape(SQUARE, "polygon"), shape([[3, 4], [6, 9]], "mask", mask=given))
    assert len(only(read(folder)).boxes) == 2
    with pytest.raises(DataError, match=message):
        write(tmp_path, read(folder, masks=True))


def test_masks_need_the_size_of_the_image(tmp_path):
    folder = add(tmp_path, shape(SQUARE, "polygon"), imageWidth=None)
    with pytest.raises(UsageError, match=r"has a shape with a box\. The first: shape 1 of a\.json has a mask, but"):
        read(folder, masks=True)
    with pytest.raises(UsageError, match="has no polygons and no masks"):
        read(add(tmp_path, shape()), masks=True)


def test_images_are_found(tmp_path):
    """Where the file says, beside it under its name, in a folder given, or inside the file."""
    add(tmp_path / "x" / "labels", shape(), name="a", image=False, imagePath="..\\photos\\a.jpg")
    add(tmp_path / "x" / "photos", name="unused")
    (tmp_path / "x" / "photos" / "unused.json").unlink()
    (tmp_path / "x" / "photos" / "unused.jpg").rename(tmp_path / "x" / "photos" / "a.jpg")
    add(tmp_path / "x", shape(), name="b", imagePath="old_name.jpg")
    inside = encoded(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    add(tmp_path / "x", shape(), name="c", image=False, imageData=inside)
    split = read(tmp_path / "x")
    assert [item.filename for item in split.items] == ["b.jpg", "c.jpg", "labels/a.jpg"]
    assert len(write(tmp_path, split)[1]) == 3
    again = read(tmp_path / "x" / "labels", tmp_path / "x" / "photos")
    assert only(again).source == tmp_path / "x" / "photos" / "a.jpg"


def test_images_outside_are_asked_for(tmp_path):
    add(tmp_path / "photos", name="a")
    (tmp_path / "photos" / "a.json").unlink()
    folder = add(tmp_path / "labels", shape(), image=False, imagePath="../photos/a.jpg")
    with pytest.raises(DataError, match="leads out of the folder of images; pass --outside"):
        write(tmp_path, read(folder))
    assert len(write(tmp_path, read(folder, outside=True))[1]) == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"shapes": 3}', "[" * 100_000, '{"images": [], "annotations": []}']
)
def test_files_that_are_not_labelme_are_told(content, tmp_path):
    folder = add(tmp_path / "x", shape())
    add(tmp_path / "x", name="b").joinpath("b.json").write_text(content)
    with pytest.raises(DataError, match=r"b\.json"):
        write(tmp_path, read(folder))
    report, records = write(tmp_path, read(folder), skip_bad=True)
    assert len(records) == 1 and len(report.images_skipped) == 1


def test_missing_and_damaged_images_are_told(tmp_path):
    add(tmp_path / "x", shape(), name="a", image=False)
    add(tmp_path / "x", shape(), name="b", image=False, imageData="@@@")
    add(tmp_path / "x", shape(), name="c", imageWidth=48, imageHeight=64)
    add(tmp_path / "x", shape(), name="d")
    report, records = write(tmp_path, read(tmp_path / "x"), skip_bad=True)
    assert [record.filename for record in records] == ["d.jpg"]
    assert "does not exist" in report.images_skipped[0][1] and "annotated for 48 x 64" in report.images_skipped[2][1]


def test_images_without_a_file_are_mentioned(tmp_path, caplog):
    add(tmp_path, shape(), name="a")
    add(tmp_path, name="b").joinpath("b.json").unlink()
    assert len(read(tmp_path).items) == 1
    assert "1 images, such as" in caplog.text and "b.jpg" in caplog.text


def test_wrong_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        read(tmp_path / "gone")
    with pytest.raises(UsageError, match="no JSON files"):
        read(tmp_path)
    with pytest.raises(UsageError, match="none of its 1 JSON files has a shape with a box"):
        read(add(tmp_path, shape([[1, 2]], "point")))
    with pytest.raises(UsageError, match="no such folder"):
        read(tmp_path, tmp_path / "gone")


def test_the_command_writes_masks_and_both_splits(tmp_path):
    for number in range(8):
        add(tmp_path / "x", shape(SQUARE, "polygon"), name=str(number))
    call = ["labelme", str(tmp_path / "x"), "--masks", "--out", str(tmp_path / "mine"), "--validation", "0.4"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    sets = [open_dataset(tmp_path / "mine" / split) for split in ("train", "val")]
    assert sum(one.images for one in sets) == 8 and sets[1].property("masks") is not None
