"""Label Studio's exports: rectangles in percent, several annotators, and images under many addresses."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from centernet_tf.cli.records import app
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.label_studio import read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError

WIDTH, HEIGHT = 64, 48


def region(x=25, y=50, width=50, height=25, labels=("cat",), rotation=0, **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation, "rectanglelabels": list(labels)}
    common = {"id": "r", "from_name": "label", "to_name": "image", "type": "rectanglelabels", "value": value}
    return {**common, "original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, **more}


def annotation(*regions, **more):
    return {"id": 1, "result": list(regions), "was_cancelled": False, "ground_truth": False, **more}


def task(*annotations, image="/data/upload/1/a.jpg", number=1, **more):
    return {"id": number, "data": {"image": image}, "annotations": list(annotations), "predictions": [], **more}


def export(folder, *tasks, images=("a.jpg",)):
    for name in images:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / name)
    folder.mkdir(exist_ok=True)
    (folder / "project.json").write_text(json.dumps(tasks))
    return folder / "project.json"


def write(folder, split, **options):
    report = write_records(
        split.items, directory=folder / "out", name="pets", split="train", classes=split.classes, **options
    )
    return report, list(iterate(open_dataset(folder / "out")))


def test_percent_become_pixels(tmp_path):
    split = read(export(tmp_path, task(annotation(region(), region(0, 0, 100, 100, ["dog"])), number=7)))
    assert split.classes == ("cat", "dog")
    _, (record,) = write(tmp_path, split)
    np.testing.assert_allclose(record.boxes, [(16, 24, 48, 36), (0, 0, 64, 48)], atol=1e-4)
    assert record.classes.tolist() == [0, 1] and record.image_id == 7 and record.filename == "a.jpg"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 100)] * 4), min_size=1, max_size=5))
def test_rectangles_are_those_of_the_image(tmp_path_factory, boxes):
    path = export(tmp_path_factory.mktemp("studio"), task(annotation(*(region(*box) for box in boxes))), images=())
    (item,) = read(path).items
    expected = [(x, y, x + width, y + height) for x, y, width, height in boxes]
    np.testing.assert_allclose(item.boxes * 100, expected, atol=1e-9)
    assert item.normalised and (item.width, item.height) == (WIDTH, HEIGHT)


def test_an_annotation_without_regions_is_background_and_none_is_left_out(tmp_path, caplog):
    tasks = [task(annotation()), task(number=2), task(annotation(region(), was_cancelled=True), number=3)]
    split = read(export(tmp_path, *tasks, task(annotation(region()), number=4)))
    assert [item.num_boxes for item in split.items] == [0, 1]
    assert "2 of 4 tasks have no annotation and are left out" in caplog.text


@pytest.mark.parametrize(
    ("annotations", "left"),
    [
        ([annotation(region(1), updated_at="2024-01"), annotation(region(2), updated_at="2024-02")], 2),
        ([annotation(region(1), ground_truth=True), annotation(region(2), updated_at="2024-02")], 1),
        ([annotation(region(1)), annotation(region(2), was_cancelled=True, updated_at="2024-02")], 1),
        ([annotation(region(1), created_at="2024-03"), annotation(region(2), created_at="2024-02")], 1),
    ],
)
def test_of_several_annotations_one_counts(annotations, left, tmp_path):
    report, (record,) = write(tmp_path, read(export(tmp_path, task(*annotations))))
    assert round(record.boxes[0][0] / WIDTH * 100) == left
    spare = sum(not one["was_cancelled"] for one in annotations) - 1
    assert report.boxes_dropped == ({"of another annotation": spare} if spare else {})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (region(rotation=12.5), "rotated rectangle"),
        (region(rotation=-90), "rotated rectangle"),
        (region(image_rotation=90), "rectangle on a rotated image"),
        (region(labels=[]), "rectangle without label"),
        ({"type": "rectangle", "id": "x", "value": {}}, "rectangle without label"),
        ({"type": "polygonlabels", "value": {"points": []}}, "polygon"),
        ({"type": "brushlabels", "value": {"rle": []}}, "brush"),
        ({"type": "keypointlabels", "value": {}}, "keypoint"),
        ({"type": "ellipse", "value": {}}, "ellipse"),
    ],
)
def test_what_is_no_upright_rectangle_is_counted(given, reason, tmp_path):
    report, _ = write(tmp_path, read(export(tmp_path, task(annotation(region(rotation=360), given)))))
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (2, 1, {reason: 1})


def test_labels_of_plain_rectangles_and_several_of_one(tmp_path):
    shape = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0}
    plain = [
        {"id": "a", "type": "rectangle", "value": shape},
        {"id": "a", "type": "labels", "value": {**shape, "labels": ["cat", "dog"]}},
        {"id": "b", "type": "polygon", "value": {"points": []}},
        {"id": "b", "type": "labels", "value": {"points": [], "labels": ["cat"]}},
        {"id": "c", "type": "choices", "value": {"choices": ["sharp"]}},
        {"type": "relation", "from_id": "a", "to_id": "b"},
    ]
    report, (record,) = write(tmp_path, read(export(tmp_path, task(annotation(*plain)))))
    assert record.classes.tolist() == [0, 1] and (record.boxes[0] == record.boxes[1]).all()
    assert report.boxes_dropped == {"polygon": 1}


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/upload/1/0a1b2c3d-a.jpg", "0a1b2c3d-a.jpg"),
        ("/data/upload/1/0a1b2c3d-a.jpg", "a.jpg"),
        ("/data/local-files/?d=set/train/b%20c.jpg", "train/b c.jpg"),
        ("/data/local-files/?d=set%5Ctrain%5Ca.jpg", "a.jpg"),
        ("s3://bucket/photos/a.jpg", "photos/a.jpg"),
        ("https://host.org/x/d%C3%A4.png?token=1", "d\u00e4.png"),
        ("a.jpg", "a.jpg"),
        ("/elsewhere/../../a.jpg", "a.jpg"),
    ],
)
def test_images_are_found_by_the_end_of_their_address(address, file, tmp_path):
    path = export(tmp_path, task(annotation(region()), image=address), images=(file,))
    (item,) = read(path).items
    assert item.source == tmp_path / "images" / file and item.filename == file


def test_the_image_among_the_data_and_the_folders(tmp_path):
    one = {**task(annotation(region())), "data": {"text": "a photo", "photo": "x/a.jpg"}}
    path = export(tmp_path, one, images=("a.jpg",))
    assert read(path).items[0].source == tmp_path / "images" / "a.jpg"
    (tmp_path / "images").rename(tmp_path / "x")
    assert read(path).items[0].source == tmp_path / "x" / "a.jpg"
    assert read(path, tmp_path / "x").items[0].source == tmp_path / "x" / "a.jpg"
    with pytest.raises(UsageError, match="no such folder of images"):
        read(path, tmp_path / "gone")


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (3, "annotation not readable", "region 2 of task 1 is 3; expected a 'type'"),
        ({"value": {}}, "annotation not readable", "expected a 'type'"),
        (region(value=None), "annotation not readable", "region 2 of task 1 has the value None; expected numbers"),
        (region(x="1"), "annotation not readable", "region 2 of task 1 has the value"),
        (region(rotation=float("inf")), "annotation not readable", "expected numbers for x, y, width, height and"),
        (region(width=10**400), "annotation not readable", "region 2 of task 1 has the value"),
        (region(width=2800), "annotation not readable", "expected percent of the image, from 0 to 100"),
        (region(labels=[3]), "annotation not readable", "region 2 of task 1 has the labels [3]; expected names"),
        (region(labels=["\ud800"]), "annotation not readable", "has the labels"),
        (region(x=float("nan")), "not a number", "region 2 of task 1 is not a number"),
        (region(width=-3), "negative size", "region 2 of task 1 has a negative size"),
        (region(height=0), "zero area", "region 2 of task 1 has zero area"),
        (region(x=120), "outside the image", "region 2 of task 1 lies outside the image"),
    ],
)
def test_bad_regions_are_named(given, reason, message, tmp_path):
    split = read(export(tmp_path, task(annotation(region(), given))))
    with pytest.raises(DataError) as error:
        write(tmp_path, split)
    assert str(error.value).startswith("a.jpg: ") and message in str(error.value)
    report, _ = write(tmp_path, split, skip_bad=True)
    assert (report.boxes_in, report.boxes_written, report.boxes_dropped) == (2, 1, {reason: 1})


def test_missing_images_and_wrong_sizes_are_told(tmp_path):
    tasks = [
        task(annotation(region()), image="gone.jpg"),
        {**task(annotation(region()), number=2), "data": {"text": "no image at all"}},
        task(annotation(region(original_width=48, original_height=64)), number=3),
        task(annotation(region()), number=4),
    ]
    report, records = write(tmp_path, read(export(tmp_path, *tasks)), skip_bad=True)
    assert [record.image_id for record in records] == [4]
    told = [reason for _, reason in report.images_skipped]
    assert "does not exist" in told[0] and "expected the address of an image" in told[1] and "48 x 64" in told[2]


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("{", DataError, "not readable as JSON"),
        ("[" * 100_000, DataError, "not readable as JSON"),
        ('{"images": []}', DataError, "expected a list of tasks"),
        ("[3]", DataError, "expected a list of tasks"),
        ('[{"id": 1, "image": "a.jpg", "annotation_id": 1}]', DataError, "task 1 of 1 .* This is JSON-MIN; export"),
        (
            '[{"data": {}, "annotations": {}}]',
            DataError,
            "task 1 has the annotations {}; expected each with a 'result'",
        ),
        ('[{"data": {}, "annotations": [{}]}]', DataError, "expected each with a 'result'"),
        ("[]", UsageError, "none of its 0 tasks is annotated"),
        ('[{"data": {}, "annotations": []}]', UsageError, "none of its 1 tasks is annotated"),
        ('[{"data": {}, "completions": [{"result": []}]}]', UsageError, "has an upright rectangle with a"),
    ],
)
def test_other_files_are_told(content, error, message, tmp_path):
    path = export(tmp_path)
    path.write_text(content)
    with pytest.raises(error, match=message):
        read(path)


def test_an_export_of_rotated_rectangles_alone_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"none of its 1 annotations .* There are: rotated rectangle\."):
        read(export(tmp_path, task(annotation(region(rotation=3)))))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UsageError, match="no such file of annotations"):
        read(tmp_path / "gone.json")


def test_ids_that_are_not_all_different_are_counted_anew(tmp_path):
    for ids in ((5, 5), ("x", 2), (10**30, 1)):
        path = export(tmp_path, *(task(annotation(region()), number=one) for one in ids))
        assert [item.image_id for item in read(path).items] == [1, 2]


def test_the_command_writes_both_splits(tmp_path):
    names = [f"{number}.jpg" for number in range(8)]
    tasks = [task(annotation(region()), image=name, number=number) for number, name in enumerate(names)]
    path = export(tmp_path, *tasks, images=names)
    call = ["label-studio", str(path), "--out", str(tmp_path / "mine"), "--validation", "0.4"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    assert sum(open_dataset(tmp_path / "mine" / split).images for split in ("train", "val")) == 8
