"""Records come back as they were written; what is damaged is named; what others wrote is read."""

import io

import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image

from centernet_tf.data.records import (
    Dataset,
    Record,
    Shard,
    iterate,
    open_dataset,
    parse,
    save_dataset,
    serialize,
    sha256_of,
    verify_checksums,
)
from centernet_tf.errors import DataError, UsageError
from centernet_tf.skeleton import Skeleton

CLASSES = ("cat", "dog", "Käfer")
FACE = Skeleton(joints=("nose", "eye_l", "eye_r"), flip_pairs=((1, 2),), limbs=((0, 1),))
# Outside the image is kept; unlabelled has no place.
FACES = np.array([[[3, 4, 2], [-5.5, 70, 1], [0, 0, 0]], [[0, 0, 0]] * 3], np.float32)


def encode(width=64, height=48, kind="PNG"):
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (10, 200, 30)).save(stream, kind)
    return stream.getvalue()


def make_record(boxes=((1, 2, 30.5, 40.25), (0, 0, 64, 48)), classes=(0, 2), image_id=7, **changes):
    count = len(classes)
    values = {
        "image": encode(),
        "format": "png",
        "width": 64,
        "height": 48,
        "image_id": image_id,
        "filename": "bïld.png",
        "boxes": np.asarray(boxes, np.float32).reshape(-1, 4),
        "classes": np.asarray(classes, np.int64),
        "crowd": np.arange(count) % 2 == 1,
        "difficult": np.arange(count) % 2 == 0,
        "area": np.arange(count, dtype=np.float32) + 5,
    }
    return Record(**{**values, **changes})


def write(directory, records, classes=CLASSES, shards=2, skeleton=None):
    """Writes a small split by hand, round robin over the shards."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for index in range(shards):
        path = directory / f"train-{index:05d}-of-{shards:05d}.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for record in records[index::shards]:
                writer.write(serialize(record, classes, skeleton.joints if skeleton else ()))
        files.append(Shard(path, len(records[index::shards]), path.stat().st_size, sha256_of(path)))
    objects = sum(len(record.classes) for record in records)
    counts = (len(records), objects, {"cat": objects})
    save_dataset(Dataset(directory, "pets", "train", classes, *counts, tuple(files), skeleton=skeleton))
    return directory


def assert_same(first, second):
    for name in ("image", "format", "width", "height", "image_id", "filename"):
        assert getattr(first, name) == getattr(second, name)
    np.testing.assert_allclose(first.boxes, second.boxes, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(first.joints, second.joints, rtol=1e-6, atol=1e-6)
    for name in ("classes", "crowd", "difficult", "area"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert getattr(first, name).dtype == getattr(second, name).dtype


def test_record_without_objects_comes_back(tmp_path):
    record = make_record(boxes=(), classes=())
    parsed = parse(serialize(record, CLASSES))
    assert parsed["boxes"].shape == (0, 4) and parsed["classes"].shape == (0,) and parsed["area"].shape == (0,)
    (found,) = iterate(open_dataset(write(tmp_path, [record], shards=1)))
    assert_same(found, record)


@pytest.mark.parametrize("seed", range(8))
def test_any_record_comes_back(seed, tmp_path):
    random = np.random.default_rng(seed)
    width, height = (int(side) for side in random.integers(1, 3000, 2))
    count = int(random.integers(0, 40))
    corners = np.sort(random.uniform(0, 1, (count, 2, 2)), axis=1) * [width, height]
    record = make_record(
        boxes=corners.reshape(-1, 4).astype(np.float32),
        classes=random.integers(0, 3, count),
        image_id=int(random.integers(0, 2**40)),
        width=width,
        height=height,
        image=encode(2, 2, "JPEG"),
        format="jpeg",
    )
    assert serialize(record, CLASSES) == serialize(record, CLASSES)
    (found,) = iterate(open_dataset(write(tmp_path, [record], shards=1)))
    assert_same(found, record)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_joints_come_back(count, tmp_path):
    random = np.random.default_rng(count)
    labels = random.integers(0, 3, (count, 3, 1))
    joints = np.concatenate([random.uniform(-20, 90, (count, 3, 2)) * (labels > 0), labels], axis=-1)
    record = make_record([(1, 2, 30, 40)] * count, [0] * count, joints=joints.astype(np.float32))
    dataset = open_dataset(write(tmp_path, [record], shards=1, skeleton=FACE))
    assert dataset.skeleton == FACE and dataset.joints == FACE.joints
    (found,) = iterate(dataset)
    assert_same(found, record)
    assert found.joints.shape == (count, 3, 3) and found.joints.dtype == np.float32


def test_joints_have_the_standard_keys():
    serialized = serialize(make_record(joints=FACES), CLASSES, FACE.joints)
    example = tf.train.Example.FromString(serialized).features.feature
    assert list(example["image/object/keypoint/visibility"].int64_list.value) == [2, 1, 0, 0, 0, 0]
    assert list(example["image/object/keypoint/num"].int64_list.value) == [2, 0]
    assert list(example["image/object/keypoint/text"].bytes_list.value) == [b"nose", b"eye_l", b"eye_r"] * 2
    np.testing.assert_allclose(example["image/object/keypoint/x"].float_list.value[:2], [3 / 64, -5.5 / 64], rtol=1e-6)
    np.testing.assert_allclose(example["image/object/keypoint/y"].float_list.value[:2], [4 / 48, 70 / 48], rtol=1e-6)


def without(serialized, *keys, **changes):
    example = tf.train.Example.FromString(serialized)
    for key in keys:
        del example.features.feature[f"image/object/keypoint/{key}"]
    for key, values in changes.items():
        example.features.feature[f"image/object/keypoint/{key}"].float_list.value[:] = values
    return example.SerializeToString()


def test_records_of_others_may_lack_joints_or_their_labels():
    plain = parse(serialize(make_record(), CLASSES), num_joints=3)
    assert plain["joints"].shape == (2, 3, 2) and not plain["joint_labels"].numpy().any()
    full = serialize(make_record(joints=FACES), CLASSES, FACE.joints)
    np.testing.assert_array_equal(parse(without(full, "visibility", "num", "text"), num_joints=3)["joint_labels"], 2)
    unlabelled = parse(without(full, x=[0.5, 0.5, np.nan, -1, -1, -1]), num_joints=3)
    np.testing.assert_array_equal(unlabelled["joints"][:, 2], 0)
    np.testing.assert_array_equal(unlabelled["joints"][0, 0], [32, 4])


def test_joints_of_another_skeleton_are_refused():
    full = serialize(make_record(joints=FACES), CLASSES, FACE.joints)
    with pytest.raises(tf.errors.InvalidArgumentError, match="keypoint/x must hold 4 numbers for each box"):
        parse(full, num_joints=4)


def test_records_without_joints_keep_their_bytes():
    full = tf.train.Example.FromString(serialize(make_record(), CLASSES))
    assert not [key for key in full.features.feature if "keypoint" in key]


def test_parse_gives_the_same_inside_tf_data():
    serialized = serialize(make_record(), CLASSES)
    alone = parse(serialized)
    (inside,) = tf.data.Dataset.from_tensors(serialized).map(parse)
    dtypes = {name: value.dtype for name, value in inside.items()}
    assert dtypes == {
        "image": tf.string, "height": tf.int64, "width": tf.int64, "image_id": tf.int64, "filename": tf.string,
        "boxes": tf.float32, "classes": tf.int32, "crowd": tf.bool, "difficult": tf.bool, "neutral": tf.bool,
        "area": tf.float32,
    }  # fmt: skip
    for name, value in alone.items():
        np.testing.assert_array_equal(value, inside[name])


def test_standard_keys_are_written():
    example = tf.train.Example.FromString(serialize(make_record(), CLASSES)).features.feature
    assert list(example["image/object/class/label"].int64_list.value) == [1, 3]
    assert list(example["image/object/class/text"].bytes_list.value) == [b"cat", "Käfer".encode()]
    assert example["image/source_id"].bytes_list.value[0] == b"7"
    assert len(example["image/key/sha256"].bytes_list.value[0]) == 64
    np.testing.assert_allclose(example["image/object/bbox/ymax"].float_list.value, [40.25 / 48, 1], rtol=1e-6)
    np.testing.assert_allclose(example["image/object/bbox/xmin"].float_list.value, [1 / 64, 0], rtol=1e-6)


def foreign(drop=(), **changes):
    """Example as the other writers make it, without what they may leave out."""
    example = tf.train.Example.FromString(serialize(make_record(), CLASSES))
    for key in drop:
        del example.features.feature[key]
    for key, value in changes.items():
        example.features.feature["image/" + key].bytes_list.value[:] = [value]
    return example.SerializeToString()


OPTIONAL = ("image/object/area", "image/object/is_crowd", "image/object/difficult", "image/format", "image/filename")


def test_optional_keys_may_be_missing():
    parsed = parse(foreign((*OPTIONAL, "image/height", "image/width", "image/key/sha256")))
    assert (int(parsed["width"]), int(parsed["height"])) == (64, 48)
    np.testing.assert_allclose(parsed["boxes"], make_record().boxes, rtol=1e-6)
    np.testing.assert_allclose(parsed["area"], [29.5 * 38.25, 64 * 48], rtol=1e-5)
    assert not parsed["crowd"].numpy().any() and not parsed["difficult"].numpy().any()


def test_all_box_keys_may_be_missing():
    parsed = parse(foreign([f"image/object/{key}" for key in (
        "bbox/xmin", "bbox/xmax", "bbox/ymin", "bbox/ymax", "class/label", "class/text", "area", "is_crowd", "difficult"
    )]), CLASSES)  # fmt: skip
    assert parsed["boxes"].shape == (0, 4) and parsed["classes"].shape == (0,)


def test_class_by_text_alone_needs_the_names():
    by_text = foreign(["image/object/class/label"])
    np.testing.assert_array_equal(parse(by_text, CLASSES)["classes"], [0, 2])
    with pytest.raises(tf.errors.InvalidArgumentError, match="one label for each box"):
        parse(by_text)
    with pytest.raises(tf.errors.InvalidArgumentError, match="not declared"):
        parse(by_text, ("cat", "dog"))


def test_lists_of_different_length_are_refused():
    example = tf.train.Example.FromString(serialize(make_record(), CLASSES))
    del example.features.feature["image/object/area"].float_list.value[1:]
    with pytest.raises(tf.errors.InvalidArgumentError, match="image/object/area holds another number"):
        parse(example.SerializeToString())


def test_source_id_that_is_no_number_becomes_one():
    first, again = (int(parse(foreign(source_id=b"2007_000027.jpg"))["image_id"]) for _ in range(2))
    other = int(parse(foreign(source_id=b"2007_000028.jpg"))["image_id"])
    assert first == again != other and 0 <= first < 2**53
    assert int(parse(foreign(source_id=b"000000000139"))["image_id"]) == 139


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": np.array([0, 3])}, "classes 0 to 3, but 3 class names"),
        ({"classes": np.array([-1, 0])}, "classes -1 to 0"),
        ({"classes": np.array([0])}, r"boxes are \(2, 4\)"),
        ({"boxes": np.full((2, 4), np.nan, np.float32)}, "expected finite numbers"),
        ({"area": np.zeros(1, np.float32)}, "1 values of area for 2 objects"),
        ({"format": "gif"}, "image format 'gif'"),
        ({"joints": FACES[:1]}, r"joints are \(1, 3, 3\); expected finite numbers of \[2, 3, 3\]"),
        ({"joints": FACES * np.nan}, "expected finite numbers"),
        ({"joints": FACES + 1}, "labels besides 0"),
    ],
)
def test_wrong_records_are_not_written(changes, message):
    with pytest.raises(DataError, match=message):
        serialize(make_record(**changes), CLASSES, FACE.joints if "joints" in changes else ())


def test_dataset_is_opened_and_read_in_order(tmp_path):
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


def test_missing_dataset_says_what_to_run(tmp_path):
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
        ({"classes": []}, "'classes' is \\[\\]; expected a list of at least one name"),
        ({"classes": [1, 2]}, "with quotes around names"),
        ({"classes": ["cat", "cat"]}, "'classes' names cat twice"),
        ({"shards": []}, "'shards' is empty"),
        ({"shards": [{"file": "a"}]}, "'records' is missing"),
        ({"images": "many"}, "not a description of records"),
        ({"images": None}, "not a description of records"),
        ({"objects_per_class": 4}, "not a description of records"),
        ({"skeleton": {"joints": ["a", "a"]}}, r"not a description of records \(skeleton: 'joints' names a twice"),
    ],
)
def test_damaged_dataset_file_is_named(change, message, tmp_path):
    path = write(tmp_path, [make_record()]) / "dataset.yaml"
    if isinstance(change, dict):
        change = yaml.safe_dump({**yaml.safe_load(path.read_text(encoding="utf-8")), **change})
    path.write_text(change, encoding="utf-8")
    with pytest.raises(DataError, match=message) as error:
        open_dataset(tmp_path)
    assert str(path) in str(error.value)


def test_missing_shard_is_named(tmp_path):
    write(tmp_path, [make_record()])
    (tmp_path / "train-00001-of-00002.tfrecord").unlink()
    with pytest.raises(DataError, match=r"train-00001-of-00002\.tfrecord: this shard is missing"):
        open_dataset(tmp_path)


def whole(path):
    """The one shard of a directory as if dataset.yaml agreed with its size, so that only reading finds the damage."""
    dataset = yaml.safe_load((path / "dataset.yaml").read_text(encoding="utf-8"))
    shard = path / dataset["shards"][0]["file"]
    dataset["shards"][0]["bytes"] = shard.stat().st_size
    (path / "dataset.yaml").write_text(yaml.safe_dump(dataset), encoding="utf-8")
    return open_dataset(path)


@pytest.mark.parametrize(("keep", "number"), [(0, 1), (5, 1), (0.5, 2), (0.99, 3)])
def test_truncated_shard_names_the_record(keep, number, tmp_path):
    write(tmp_path, [make_record() for _ in range(3)], shards=1)
    path = tmp_path / "train-00000-of-00001.tfrecord"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    with pytest.raises(DataError, match=f"{path.name}: cut off in record {number} of 3.*Copy the directory again"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match=rf"{path.name}: .*record {number} .*centernet records"):
        list(iterate(whole(tmp_path)))


def test_damaged_shard_names_the_record(tmp_path):
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


def test_shard_that_grew_is_named(tmp_path):
    write(tmp_path, [make_record()], shards=1)
    with (tmp_path / "train-00000-of-00001.tfrecord").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="longer than when written"):
        open_dataset(tmp_path)


def test_what_is_no_example_names_the_record(tmp_path):
    write(tmp_path, [make_record()], shards=1)
    with tf.io.TFRecordWriter(str(tmp_path / "train-00000-of-00001.tfrecord")) as writer:
        writer.write(b"not an example")
    with pytest.raises(DataError, match="record 1 cannot be understood"):
        list(iterate(whole(tmp_path)))


def test_label_without_a_class_names_the_record(tmp_path):
    write(tmp_path, [make_record(), make_record()], shards=1)
    dataset = open_dataset(tmp_path)
    fewer = Dataset(**{**vars(dataset), "classes": ("cat", "dog")})
    with pytest.raises(DataError, match=r"record 1 has labels 1 to 3, but dataset.yaml declares 2 classes"):
        list(iterate(fewer))
