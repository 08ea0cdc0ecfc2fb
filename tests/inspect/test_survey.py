import dataclasses
import io
import json
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.data.dataset import Dataset, Shard, save_dataset, sha256_of
from centernet_tf.errors import UsageError
from centernet_tf.inspect import inspect_records, inspect_splits
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.faults import BrokenListsError
from centernet_tf.properties.fields import Field
from centernet_tf.properties.notebook import Check
from centernet_tf.properties.property import Fault, Property, Survey

CLASSES = ("cat", "dog")


def picture(color=0, size=(100, 50), kind="PNG", mode="RGB", **options):
    stream = io.BytesIO()
    Image.new(mode, size, color).save(stream, kind, **options)
    return stream.getvalue()


def example(number, boxes=((0.1, 0.1, 0.3, 0.5),), labels=None, **replaced):
    """A serialized tf.train.Example of an image of 100 x 50; boxes are left, top, right, bottom from 0 to 1."""
    labels = [1 + index % 2 for index in range(len(boxes))] if labels is None else labels
    columns = np.array(boxes, float).reshape(-1, 4).T
    values = {
        "image/encoded": [picture(number)],
        "image/height": [50],
        "image/width": [100],
        "image/filename": [f"{number}.png".encode()],
        "image/source_id": [str(number).encode()],
        **{f"image/object/bbox/{side}": columns[row] for row, side in enumerate(("xmin", "ymin", "xmax", "ymax"))},
        "image/object/class/label": labels,
        **{key.replace("__", "/"): value for key, value in replaced.items()},
    }
    return tf.train.Example(
        features=tf.train.Features(feature={key: feature(value) for key, value in values.items() if value is not None})
    ).SerializeToString()


def feature(values):
    if len(values) and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if np.asarray(values).dtype.kind == "i":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def write(directory, *shards, classes=CLASSES, split="train", properties=()):
    """Writes lists of serialized records as shards, and the dataset.yaml that fits them."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for number, records in enumerate(shards):
        path = directory / f"{split}-{number:05d}-of-{len(shards):05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records:
                writer.write(record)
        files.append(Shard(path, len(records), path.stat().st_size, sha256_of(path)))
    images = sum(map(len, shards))
    dataset = Dataset(directory, "pets", split, tuple(classes), images, images, {}, tuple(files), properties=properties)
    save_dataset(dataset)
    return directory


def two_boxes(**replaced):
    return example(1, [(0.1, 0.1, 0.3, 0.5), (0.5, 0.1, 0.9, 0.9)], **replaced)


def found(report):
    return {finding.code: finding.count for finding in report.findings}


def test_sound_records_have_no_findings(tmp_path):
    report = inspect_records(write(tmp_path, [two_boxes(), example(2)], [example(3)]))
    assert found(report) == {}
    assert report.sound
    assert (report.name, report.split, report.images, report.objects) == ("pets", "train", 3, 4)
    assert report.per_class == {"cat": 3, "dog": 1}
    assert report.image_sizes == {"100x50": 3}
    assert report.areas == {"small": 3, "medium": 1, "large": 0}
    # The narrowest is 20 pixels of 100 on a grid of 128 cells.
    assert report.box_cells.low == pytest.approx(25.6)
    assert report.objects_per_image.high == 2
    assert len(report.samples) == 3


def test_no_records_at_all(tmp_path):
    report = inspect_records(write(tmp_path, []))
    assert (report.images, report.objects, report.lost_peak_fraction) == (0, 0, 0.0)
    assert found(report) == {"unused_class": 2}
    assert report.sheet() is None
    assert json.loads(report.to_json())["box_cells"] == {"low": 0.0, "median": 0.0, "mean": 0.0, "high": 0.0}


def turned_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture(kind="JPEG", exif=exif)


BROKEN = {
    "bad_example": [b"this is no example"],
    "bad_example twice": [two_boxes(image__encoded=[b""]), two_boxes(image__object__class__label=[1])],
    "corrupt_image": [two_boxes(image__encoded=[picture()[:60]])],
    "corrupt_image at its end": [two_boxes(image__encoded=[picture(kind="JPEG")[:-20]])],
    "wrong_size": [two_boxes(image__width=[90])],
    "turned_image": [two_boxes(image__encoded=[turned_jpeg()])],
    "odd_image": [two_boxes(image__encoded=[picture(mode="RGBA", color=(0, 0, 0, 9))])],
    "unfinite_box": [example(1, [(np.nan, 0, 1, 1), (0, 0, np.inf, 1), (0, 0, 1, 1)], [1, 2, 1])],
    "empty_box": [example(1, [(0.5, 0, 0.5, 1), (0.5, 0.9, 0.6, 0.1), (0, 0, 1, 1)], [1, 2, 1])],
    "outside_box": [example(1, [(1.1, 0, 1.5, 1), (-0.5, 0, 0, 1), (0, 0, 1, 1)], [1, 2, 1])],
    "edge_box": [example(1, [(-0.1, 0, 0.5, 1), (0.6, 0, 1.1, 1)])],
    "unknown_label": [example(1, [(0, 0, 0.1, 1), (0.2, 0, 0.4, 1), (0.6, 0, 0.7, 1)], [1, 2, 3])],
    "unknown_label zero": [example(1, [(0, 0, 0.1, 1), (0.2, 0, 0.4, 1), (0.6, 0, 0.7, 1)], [1, 2, 0])],
    "duplicate_id": [two_boxes(), example(2, image__source_id=[b"1"])],
    "twin_image": [two_boxes(), example(2, image__encoded=[picture(1)])],
    "twin_box": [example(1, [(0.1, 0, 0.5, 1), (0.105, 0, 0.5, 1), (0.6, 0, 1, 1)], [1, 1, 2])],
    "too_many": [example(1, [(0.02 * i, 0, 0.02 * i + 0.02, 1) for i in range(13)])],
    "lost_peak": [example(1, [(0.2, 0.2, 0.4, 0.4), (0.1, 0.1, 0.5, 0.5), (0.7, 0.7, 0.9, 0.9)], [1, 1, 2])],
    "shared_cell": [example(1, [(0.2, 0.2, 0.4, 0.4), (0.1, 0.1, 0.5, 0.5)])],
    "tiny_box": [example(1, [(0.2, 0.2, 0.205, 0.4), (0.1, 0.1, 0.5, 0.5)])],
    "cut_box": [example(1, [(0.995, 0.2, 1.0, 0.4), (0.1, 0.1, 0.5, 0.5)])],
    "no_objects": [two_boxes(), example(2, [])],
    "unused_class": [example(1)],
    "other_name": [
        example(1, [(0.1, 0.1, 0.5, 0.5), (0.6, 0.1, 0.9, 0.5)], image__object__class__text=[b"cat", b"cat"])
    ],
}
COUNTS = {
    **dict.fromkeys(("unfinite_box", "empty_box", "outside_box", "edge_box", "bad_example twice"), 2),
    "too_many": 3,
}
ALSO = {
    "lost_peak": {"shared_cell": 1},
    "twin_box": {"lost_peak": 1, "shared_cell": 1},
    "bad_example": {"unused_class": 2},
    "bad_example twice": {"unused_class": 2},
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_fault_is_found_and_nothing_else(tmp_path, case):
    report = inspect_records(write(tmp_path, BROKEN[case]), max_objects=10)
    code = case.split()[0]
    extra = dict(ALSO.get(case, {}))
    assert found(report) == {code: COUNTS.get(case, 1), **extra}
    assert report.sound == all(finding.severity != "error" for finding in report.findings)
    assert report.images == len(BROKEN[case])
    assert all(finding.examples and finding.fix for finding in report.findings)


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("wrong_size", "1.png: 100x50 pixels, recorded as 90x50"),
        ("unknown_label", "1.png: labels [3]"),
        ("duplicate_id", "id 1: 1.png and 2.png"),
        ("too_many", "1.png: 13 objects, 10 kept"),
        ("edge_box", "1.png: [-10.0, 0.0, 50.0, 50.0] in 100x50"),
        ("bad_example", "train-00000-of-00001.tfrecord, record 1: it is not a tf.train.Example"),
        ("bad_example twice", "train-00000-of-00001.tfrecord, record 1: image/encoded is missing or empty"),
        ("corrupt_image", "the image cannot be decoded"),
    ],
)
def test_examples_say_where_and_what(tmp_path, case, text):
    report = inspect_records(write(tmp_path, BROKEN[case]), max_objects=10)
    assert text in report.findings[0].examples[0]


def test_a_shard_that_breaks_off_does_not_stop_the_others(tmp_path):
    directory = write(tmp_path, [two_boxes(), example(2), example(3)], [example(4), example(5)])
    shard = directory / "train-00000-of-00002.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-20])
    report = inspect_records(directory)
    assert found(report) == {"truncated_shard": 1, "checksum": 1, "missing_images": 1}
    assert report.images == 4
    assert "train-00000-of-00002.tfrecord: record 3 is cut off or damaged" in report.findings[0].examples[0]
    assert not report.sound


def test_images_that_are_not_counted_are_reported(tmp_path):
    directory = write(tmp_path, [two_boxes(), example(2)])
    path = directory / "dataset.yaml"
    path.write_text(path.read_text().replace("images: 2", "images: 1"))
    report = inspect_records(directory)
    assert found(report) == {"surplus_images": 1} and report.findings[0].examples == ["1 expected, 2 read"]


def test_a_missing_shard_is_reported(tmp_path):
    directory = write(tmp_path, [two_boxes()], [example(4)])
    (directory / "train-00001-of-00002.tfrecord").unlink()
    report = inspect_records(directory)
    assert found(report) == {"truncated_shard": 1, "missing_images": 1}


def test_a_changed_byte_in_a_shard_is_found(tmp_path):
    directory = write(tmp_path, [two_boxes()], [example(4)])
    shard = directory / "train-00000-of-00002.tfrecord"
    content = bytearray(shard.read_bytes())
    content[200] ^= 1
    shard.write_bytes(content)
    codes = found(inspect_records(directory))
    assert codes["checksum"] == 1
    assert codes["truncated_shard"] == 1


def test_without_decoding_only_headers_are_read(tmp_path):
    directory = write(tmp_path, BROKEN["corrupt_image at its end"])
    assert "corrupt_image" not in found(inspect_records(directory, decode=False))


def test_crowds_are_counted_but_take_no_cell(tmp_path):
    boxes = [(0.2, 0.2, 0.4, 0.4), (0.1, 0.1, 0.5, 0.5), (0.6, 0.6, 0.7, 0.7)]
    record = example(1, boxes, [1, 1, 2], image__object__is_crowd=[0, 1, 0])
    report = inspect_records(write(tmp_path, [record]))
    assert (report.crowd, found(report)) == (1, {})


def test_records_without_size_numbers_or_ids_are_read(tmp_path):
    left_out = dict.fromkeys(("image__width", "image__height", "image__source_id", "image__object__class__label"))
    record = two_boxes(**left_out, image__object__class__text=[b"dog", b"cat"])
    report = inspect_records(write(tmp_path, [record]))
    assert (found(report), report.per_class, report.image_sizes) == ({}, {"cat": 1, "dog": 1}, {"100x50": 1})


def test_images_in_two_splits_and_other_classes(tmp_path):
    train = write(tmp_path / "train", [two_boxes(), example(2)])
    val = write(
        tmp_path / "val", [example(2), two_boxes(image__encoded=[picture(9)])], classes=("dog", "cat"), split="val"
    )
    first, second = inspect_splits([train, val])
    assert found(first) == {}
    assert found(second) == {"other_classes": 1, "shared_image": 1}
    assert second.findings[1].examples == ["2.png is train/2.png"]


def test_samples_are_few_and_the_sheet_shows_them(tmp_path):
    directory = write(tmp_path, [two_boxes(), *(example(number) for number in range(2, 30))])
    report = inspect_records(directory, samples=4)
    assert len(report.samples) == 4
    assert [sample.name for sample in report.samples] == [
        sample.name for sample in inspect_records(directory, samples=4).samples
    ]
    assert report.sheet().ndim == 3
    assert inspect_records(directory, samples=0).sheet() is None


def test_progress_and_json(tmp_path):
    seen = []
    report = inspect_records(write(tmp_path, [two_boxes()]), progress=lambda *numbers: seen.append(numbers))
    assert seen == [(tmp_path, 1, 1)]
    told = json.loads(report.to_json())
    assert told["sound"] is True
    assert told["per_class"] == {"cat": 1, "dog": 1}
    live = {"declared", "facts", "tables", "samples"}
    assert set(told) == {"sound"} | {field.name for field in dataclasses.fields(report)} - live


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_objects": 0}, "max_objects 0 and size 512x512; expected at least 1 object"),
        ({"size": (500, 512)}, "size 500x512; expected .* multiples of 32"),
    ],
)
def test_settings_out_of_range(tmp_path, settings, text):
    with pytest.raises(UsageError, match=text):
        inspect_records(write(tmp_path, [two_boxes()]), **settings)


def test_no_directory(tmp_path):
    with pytest.raises(UsageError, match="no such directory of records"):
        inspect_records(tmp_path / "nowhere")


class Weights(Property):
    """A property that the tables do not know; its unit is what the records say of it."""

    name = "weights"
    keys: ClassVar = {"image/object/weight": "float"}
    checks: ClassVar = {
        "bad_weight": Check("error", "weights that are missing", "Weigh again."),
        "no_scale": Check("error", "images without a scale", "Buy one."),
        "light": Check("warning", "objects that fly away", "Hold them."),
    }
    broken = "bad_weight"

    unit: str = "kg"

    @property
    def fields(self):
        return (Field("weights", "float32", (), "fixed", 0.0, "in the unit"),)

    def unpack(self, lists, boxes, size):
        weights = lists["image/object/weight"]
        if not len(weights):
            raise BrokenListsError("no_scale", "nothing was weighed.")
        if len(weights) != len(boxes):
            raise ValueError(f"{len(weights)} weights for {len(boxes)} boxes.")
        return {"weights": weights}

    def faults(self, rows, size):
        return [Fault("negative weight", "is too light") if weight < 0 else None for weight in rows["weights"]]

    def survey(self, notebook):
        return WeightSurvey(notebook)

    def difference(self, other):
        return "" if self == other else f"{self.unit} and {other.unit}"


class WeightSurvey(Survey):
    def __init__(self, notebook):
        self.notebook, self.total = notebook, 0.0

    def add(self, name, rows, size, image):
        assert rows["boxes"].shape == (len(rows["weights"]), 4) and size == (100, 50)
        self.total += float(rows["weights"].sum())
        self.notebook.add("light", name, np.sum(rows["weights"] < 0))

    def facts(self):
        return {"weight": f"{self.total:g}"}

    def as_dict(self):
        return {"total": self.total}


@pytest.fixture
def weights(monkeypatch):
    monkeypatch.setitem(PROPERTIES, "weights", Weights)


def test_properties_are_surveyed_and_their_faults_found(tmp_path, weights):
    records = [
        two_boxes(image__object__weight=[1.0, 2.0]),
        example(2, image__object__weight=[-0.5]),
        example(3),
        example(4, image__object__weight=[1.0, 2.0, 3.0]),
    ]
    report = inspect_records(write(tmp_path, records, properties=(Weights(),)))
    assert found(report) == {"bad_weight": 1, "no_scale": 1, "light": 1}
    assert [finding.examples for finding in report.findings] == [
        ["4.png: 3 weights for 1 boxes."],
        ["3.png: nothing was weighed."],
        ["2.png"],
    ]
    assert report.properties == {"weights": {"total": 2.5}} == json.loads(report.to_json())["properties"]
    assert report.facts == {"weight": "2.5"}
    # Objects with a fault are no samples, and images whose lists are broken are samples without the property.
    rows = [sample.rows for sample in report.samples]
    assert [len(one["boxes"]) for one in rows] == [2, 0, 1, 1]
    assert [list(one.get("weights", ["none"])) for one in rows] == [[1, 2], [], ["none"], ["none"]]
    assert report.sheet() is not None


@pytest.mark.parametrize(
    ("properties", "difference"), [((Weights(),), None), ((), None), ((Weights(unit="lb"),), "lb and kg")]
)
def test_sets_that_mean_different_things_are_told(tmp_path, weights, properties, difference):
    train = write(tmp_path / "train", [], properties=(Weights(),))
    val = write(tmp_path / "val", [], split="val", properties=properties)
    first, second = inspect_splits([train, val])
    assert "other_property" not in found(first)
    told = [finding for finding in second.findings if finding.code == "other_property"]
    assert [one.examples for one in told] == ([[f"{val} and {train}: weights: {difference}"]] if difference else [])
    assert second.sound == (not told)


def test_a_class_that_is_small_at_this_size_is_noted_and_a_size_advised(shapes_train):
    small, usual = (inspect_records(shapes_train.directory, size=size) for size in ((32, 32), (64, 64)))
    assert small.advice == usual.advice and small.advice.startswith("128x128: 24 of 24 images are 64x64, and half of ")
    noted = [one for one in small.findings if one.code == "small_class"]
    assert len(noted) == 1 and "pixels at 32x32" in noted[0].examples[0]
    assert not [one for one in usual.findings if one.code == "small_class"], "no larger size would show more"
