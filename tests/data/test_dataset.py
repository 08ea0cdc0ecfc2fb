"""A split of records on disk: opened, read in order, and named where it is damaged."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import yaml

from centernet_tf.data.dataset import (
    Dataset,
    Shard,
    iterate,
    open_dataset,
    save_dataset,
    sha256_of,
    verify_checksums,
)
from centernet_tf.data.serialize import serialize
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton

CLASSES = ("cat", "dog", "Käfer")
FACE = Keypoints(skeleton=Skeleton(keypoints=("nose", "eye_l", "eye_r"), flip_pairs=((1, 2),), limbs=((0, 1),)))
CAMERA = np.array([[700.0, 0, 600, 45], [0, 700, 180, -0.3], [0, 0, 1, 0.005]], np.float32)


def write(directory, records, classes=CLASSES, shards=2, properties=()):
    """Writes a small split by hand, round robin over the shards."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for index in range(shards):
        path = directory / f"train-{index:05d}-of-{shards:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records[index::shards]:
                writer.write(serialize(record, classes, properties))
        files.append(Shard(path, len(records[index::shards]), path.stat().st_size, sha256_of(path)))
    objects = sum(len(record.classes) for record in records)
    counts = (len(records), objects, {"cat": objects})
    save_dataset(Dataset(directory, "pets", "train", classes, *counts, tuple(files), properties=properties))
    return directory


def test_properties_are_kept(tmp_path, make_record):
    rows = {"keypoints": np.full((2, 3, 2), 5, np.float32), "keypoint_labels": np.full((2, 3), 2), "camera": CAMERA}
    properties = (FACE, Boxes3d())
    dataset = open_dataset(write(tmp_path, [make_record(rows=rows)], shards=1, properties=properties))
    assert dataset.properties == properties
    assert dataset.property("keypoints") == FACE and dataset.property("hue") is None
    (found,) = iterate(dataset)
    np.testing.assert_allclose(found.rows["keypoints"], 5, rtol=1e-6)
    np.testing.assert_array_equal(found.rows["camera"], CAMERA)


def test_properties_can_be_added_and_replaced(tmp_path, make_record):
    dataset = open_dataset(write(tmp_path, [make_record()], shards=1))
    assert dataset.properties == () and "properties" not in (tmp_path / "dataset.yaml").read_text()
    assert not next(iterate(dataset)).rows
    seen = dataset.with_properties([FACE])
    np.testing.assert_array_equal(next(iterate(seen)).rows["keypoint_labels"], np.zeros((2, 3)))
    other = FACE.model_copy(update={"classes": ("cat",)})
    assert seen.with_properties([other, Boxes3d()]).properties == (other, Boxes3d())


def test_head_reads_the_first_records(tmp_path, make_record):
    dataset = open_dataset(write(tmp_path, [make_record(image_id=index) for index in range(5)], shards=1))
    assert [record.image_id for record in dataset.head(2)] == [0, 1]
    assert dataset.head(0) == [] and len(dataset.head(9)) == 5


def test_an_image_that_a_property_cannot_use_is_named(tmp_path, make_record):
    class Picky(Boxes3d):
        def unpack(self, lists, boxes, size):
            return {"camera": np.zeros((3, 4), np.float32)}

    dataset = open_dataset(write(tmp_path, [make_record()], shards=1)).with_properties([Picky()])
    with pytest.raises(DataError, match="record 1 cannot be used: its camera is"):
        list(iterate(dataset))


def test_dataset_is_opened_and_read_in_order(tmp_path, make_record):
    directory = write(tmp_path / "pets" / "train", [make_record(image_id=index) for index in range(5)])
    for path in (directory, directory / "dataset.yaml", str(directory)):
        dataset = open_dataset(path)
        assert (dataset.name, dataset.split, dataset.classes, dataset.images) == ("pets", "train", CLASSES, 5)
        assert [path.name for path in dataset.shards] == [
            "train-00000-of-00002.tfrecord",
            "train-00001-of-00002.tfrecord",
        ]
    assert [record.image_id for record in iterate(dataset)] == [0, 2, 4, 1, 3]
    verify_checksums(dataset)


def test_missing_dataset_says_what_to_run(tmp_path, make_record):
    with pytest.raises(UsageError, match=r"no such directory of records. Write them first"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no dataset.yaml in this directory"):
        open_dataset(tmp_path)
    directory = write(tmp_path / "train", [make_record()])
    with pytest.raises(UsageError, match="in train below it"):
        open_dataset(tmp_path)
    (directory / "dataset.yaml").unlink()
    with pytest.raises(UsageError, match="writing was interrupted"):
        open_dataset(directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("name: [unclosed", "not readable as YAML"),
        ("", "expected settings"),
        ("just words", "expected settings"),
        ("classes: [cat]\nclasses: [dog]\n", "'classes' is given twice .*line 1"),
        ({"classes": []}, "'classes' is \\[\\]; expected a list of at least one name"),
        ({"classes": [1, 2]}, "with quotes around names"),
        ({"classes": ["cat", "cat"]}, "'classes' names cat twice"),
        ({"shards": []}, "'shards' is empty"),
        ({"shards": [{"file": "a"}]}, "'records' is missing"),
        ({"images": "many"}, "not a description of records"),
        ({"images": None}, "not a description of records"),
        ({"objects_per_class": 4}, "not a description of records"),
        ({"properties": {"keypoints": {"skeleton": {"keypoints": ["a", "a"]}}}}, "'keypoints' names a twice"),
        ({"properties": {"keypoint": {}}}, "unknown property 'keypoint'. Did you mean 'keypoints'?"),
        ({"properties": ["boxes3d"]}, "properties are"),
    ],
)
def test_damaged_dataset_file_is_named(change, message, tmp_path, make_record):
    path = write(tmp_path, [make_record()]) / "dataset.yaml"
    if isinstance(change, dict):
        change = yaml.safe_dump({**yaml.safe_load(path.read_text(encoding="utf-8")), **change})
    path.write_text(change, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        open_dataset(tmp_path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 40}, "'images' is 40, but its shards list 4 records"),
        (
            {"classes": ["cat", "dog"], "objects_per_class": {"cat": 1, "Käfer": 3}},
            "counts Käfer, which 'classes' lacks",
        ),
        ({"images": 5, "records": 3}, r"train-00000-of-00002\.tfrecord: 2 records, but dataset\.yaml says 3"),
    ],
)
def test_counts_that_do_not_fit_the_shards_are_named(changes, message, tmp_path, make_record):
    path = write(tmp_path, [make_record() for _ in range(4)]) / "dataset.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["shards"][0]["records"] = changes.pop("records", 2)
    path.write_text(yaml.safe_dump({**content, **changes}), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path)
    open_dataset(tmp_path, check=False)


def test_a_folder_in_place_of_a_shard_is_damage(tmp_path, make_record):
    dataset = open_dataset(write(tmp_path, [make_record()], shards=1))
    dataset.shards[0].unlink()
    dataset.shards[0].mkdir()
    with pytest.raises(DataError, match="record 1 is cut off or damaged"):
        list(iterate(dataset))


def test_missing_shard_is_named(tmp_path, make_record):
    write(tmp_path, [make_record()])
    (tmp_path / "train-00001-of-00002.tfrecord").unlink()
    with pytest.raises(DataError, match=r"train-00001-of-00002\.tfrecord: this shard is missing"):
        open_dataset(tmp_path)


def whole(path):
    """A directory as if dataset.yaml agreed with its shards, so that only reading finds the damage."""
    return open_dataset(path, check=False)


@pytest.mark.parametrize(("keep", "number"), [(0, 1), (5, 1), (0.5, 2), (0.99, 3)])
def test_truncated_shard_names_the_record(keep, number, tmp_path, make_record):
    write(tmp_path, [make_record() for _ in range(3)], shards=1)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    with pytest.raises(DataError, match=f"{path.name}: cut off in record {number} of 3.*Copy the directory again"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=rf"{path.name}: .*record {number} .*centernet records"):
        list(iterate(whole(tmp_path)))


def test_damaged_shard_names_the_record(tmp_path, make_record):
    write(tmp_path, [make_record() for _ in range(3)], shards=1)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    dataset = open_dataset(tmp_path)
    with pytest.raises(DataError, match=f"{path.name}: record 2 is cut off or damaged"):
        list(iterate(dataset))
    with pytest.raises(DataError, match=f"{path.name}: the file has changed since it was written"):
        verify_checksums(dataset)


def test_shard_that_grew_is_named(tmp_path, make_record):
    write(tmp_path, [make_record()], shards=1)
    with (tmp_path / "train-00000-of-00001.tfrecord").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="longer than when written"):
        open_dataset(tmp_path)


def test_what_is_no_example_names_the_record(tmp_path, make_record):
    write(tmp_path, [make_record()], shards=1)
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-00001.tfrecord")) as writer:
        writer.write(b"not an example")
    with pytest.raises(DataError, match="record 1 is invalid"):
        list(iterate(whole(tmp_path)))


def test_label_without_a_class_names_the_record(tmp_path, make_record):
    write(tmp_path, [make_record(), make_record()], shards=1)
    dataset = open_dataset(tmp_path)
    fewer = dataclasses.replace(dataset, classes=("cat", "dog"))
    with pytest.raises(DataError, match=r"record 1 is invalid \(object 2 has label 3, .*but 2 classes are declared"):
        list(iterate(fewer))
