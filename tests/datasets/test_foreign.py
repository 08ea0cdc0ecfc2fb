"""TFRecords of other programs are read, counted and described; their files stay as they are."""

import shutil

import pytest
import tensorflow as tf

from centernet_tf.cli import main
from centernet_tf.config import parse_settings
from centernet_tf.data.dataset import iterate, open_dataset, verify_checksums
from centernet_tf.data.example import SOURCE_ID
from centernet_tf.datasets.foreign import find_files, index, read_labels
from centernet_tf.errors import DataError, UsageError
from centernet_tf.inspect import inspect_records
from centernet_tf.training.train import train


@pytest.fixture
def folder(shapes_train, tmp_path):
    """Files as TFOD's scripts name them, without what says what they are."""
    directory = tmp_path / "coco" / "train"
    directory.mkdir(parents=True)
    for number, shard in enumerate(shapes_train.shards):
        shutil.copy(shard, directory / f"coco_train.record-{number:05d}-of-00002")
    return directory


def label_map(path, names):
    items = "".join(f"item {{\n  name: '{name}'\n  id: {number}\n}}\n" for number, name in names.items())
    path.write_text(items)
    return path


def test_foreign_records_become_a_data_set(folder, shapes_train, tmp_path, capsys):
    labels = label_map(tmp_path / "map.pbtxt", dict(enumerate(shapes_train.classes, start=1)))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(SystemExit) as ended:
        main(["records", "index", str(folder), "--labels", str(labels)])
    assert not ended.value.code, capsys.readouterr().err
    dataset = open_dataset(folder)
    verify_checksums(dataset)
    assert (dataset.name, dataset.split, dataset.images) == ("coco", "train", 24)
    assert dataset.objects_per_class == shapes_train.objects_per_class
    for one, other in zip(iterate(dataset), iterate(shapes_train), strict=True):
        assert (one.image, one.boxes.tolist()) == (other.image, other.boxes.tolist())
    assert inspect_records(folder).sound
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name in before} == before
    assert str(dataset.objects) in capsys.readouterr().out


@pytest.mark.long
def test_a_described_data_set_is_trained_on(folder, shapes_train, tmp_path):
    index(folder, shapes_train.classes)
    data = {"train": str(folder), "size": [64, 64], "shuffle": 8}
    settings = {"data": data, "backbone": "tiny", "head_channels": 8, "train": {"batch_size": 8, "epochs": 1}}
    assert train(parse_settings(settings, "here"), tmp_path / "run").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda example: example[SOURCE_ID].bytes_list.value.__setitem__(0, b"777"),
            "its image id 777 is that of",
        ),
        (lambda example: example["image/encoded"].bytes_list.value.__setitem__(0, b"no"), "not an image"),
        (lambda example: example["image/width"].int64_list.value.__setitem__(0, 9), "64 x 64 pixels, recorded as 9 x"),
        (lambda example: example["image/object/class/label"].int64_list.value.append(9), "labels for"),
    ],
)
def test_bad_records_are_named_and_nothing_is_written(folder, shapes_train, change, said):
    path = folder / "coco_train.record-00000-of-00002"
    examples = [tf.train.Example.FromString(one) for one in tf.data.TFRecordDataset(str(path)).as_numpy_iterator()]
    examples[0].features.feature[SOURCE_ID].bytes_list.value[0] = b"777"
    change(examples[1].features.feature)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            writer.write(example.SerializeToString())
    with pytest.raises(DataError, match=r"1 of 24 records cannot be used: coco_train.*-of-00002, record 2: ") as error:
        index(folder, shapes_train.classes)
    assert said in str(error.value) and "are not changed here" in str(error.value)
    assert not (folder / "dataset.yaml").exists()


def test_other_classes_and_damaged_files_are_named(folder, shapes_train):
    with pytest.raises(DataError, match="but 2 classes are declared"):
        index(folder, shapes_train.classes[:2])
    path = folder / "coco_train.record-00001-of-00002"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"coco_train\.record-00001-of-00002: record 12 is cut off"):
        index(folder, shapes_train.classes)


def test_files_of_one_split_are_chosen(tmp_path):
    with pytest.raises(UsageError, match=r"no files \*.tfrecord\* or \*.record\*"):
        find_files(tmp_path)
    names = ["train.record-00000-of-00002", "train.record-00001-of-00002", "val.record-00000-of-00001"]
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match=r"files of several splits, train.record-.*, val.record-"):
        find_files(tmp_path)
    assert [path.name for path in find_files(tmp_path, "train*")] == names[:2]
    (tmp_path / "plain.tfrecord").touch()
    assert [path.name for path in find_files(tmp_path, "plain*")] == ["plain.tfrecord"]


def test_label_maps(tmp_path):
    path = label_map(tmp_path / "map.pbtxt", {2: "dog", 1: "cat", 4: "owl"})
    assert read_labels(path) == ("cat", "dog", "unused 3", "owl")
    path.write_text('# animals\nitem{id:1 name:"/m/01" display_name: "Cat"}\n')
    assert read_labels(path) == ("/m/01",)
    path.write_text(
        'label { name: "stand (still)" label_id: 1 label_type: MOVEMENT }\nlabel {\n name: "crawl"\n label_id: 2\n}'
    )
    assert read_labels(path) == ("stand (still)", "crawl")
    for text, said in (("", "no item"), ("item { name: 'cat' }", "lacks an id"), ("item{id:1 name:'a'}" * 2, "twice")):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_labels(path)
