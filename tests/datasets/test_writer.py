"""Everything counted in or out, the same bytes every time, and nothing half-written."""

import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.data.dataset import iterate, open_dataset, verify_checksums
from centernet_tf.datasets import shard_files
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.lock import LOCK_FILE
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.boxes3d.records import columns, from_columns
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.property import Fault


def jpeg(width=64, height=48, seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG")
    return stream.getvalue()


def make_item(index=0, boxes=((1, 2, 30, 40), (5, 5, 20, 20)), **fields):
    values = {
        "key": f"{index:04d}",
        "image_id": index + 100,
        "source": jpeg(seed=index),
        "filename": f"{index:04d}.jpg",
        "boxes": np.asarray(boxes, float).reshape(-1, 4),
        "classes": [place % 2 for place in range(len(boxes))],
        "width": 64,
        "height": 48,
    }
    return Item(**{**values, **fields})


def write(items, directory, **options):
    settings = {"name": "pets", "split": "train", "classes": ("cat", "dog")}
    return write_records(items, directory=directory, **{**settings, **options})


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}


def test_no_images_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there are no images to write"):
        write([], tmp_path / "out")
    assert contents(tmp_path / "out") == {}


def test_images_without_boxes_are_written(tmp_path):
    report = write([make_item(0, boxes=()), make_item(1)], tmp_path)
    assert (report.images_written, report.images_empty, report.boxes_written) == (2, 1, 2)
    assert [len(record.boxes) for record in iterate(open_dataset(tmp_path))] == [0, 2]


def test_written_records_come_back(tmp_path):
    report = write([make_item(index) for index in range(5)], tmp_path, shards=2)
    assert sorted(contents(tmp_path)) == [
        "dataset.yaml",
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
    ]
    dataset = open_dataset(tmp_path)
    verify_checksums(dataset)
    assert (dataset.name, dataset.split, dataset.classes) == ("pets", "train", ("cat", "dog"))
    assert (dataset.images, dataset.objects, dataset.objects_per_class) == (5, 10, {"cat": 5, "dog": 5})
    assert [shard.records for shard in dataset.files] == [3, 2]
    assert dataset.report == report.to_dict()
    records = sorted(iterate(dataset), key=lambda record: record.image_id)
    assert [record.image_id for record in records] == [100, 101, 102, 103, 104]
    assert [record.image for record in records] == [jpeg(seed=index) for index in range(5)]
    np.testing.assert_allclose(records[3].boxes, [(1, 2, 30, 40), (5, 5, 20, 20)], rtol=1e-6)


def test_properties_are_written_and_counted(tmp_path):
    pets = Keypoints(skeleton=Skeleton(keypoints=("head", "tail"), limbs=((0, 1),)))
    rows = {"keypoints": [[[3, 4], [70, 4]], [[0, 0], [64, 48]]], "keypoint_labels": [[2, 1], [0, 1]]}
    report = write([make_item(0, rows=rows), make_item(1)], tmp_path, properties=[pets])
    counts = {"objects": 2, "visible": 1, "hidden": 2, "unlabelled": 5, "outside": 1}
    assert report.properties == {"keypoints": counts}
    dataset = open_dataset(tmp_path)
    assert dataset.properties == (pets,) and dataset.report["properties"] == {"keypoints": counts}
    first, second = iterate(dataset)
    np.testing.assert_allclose(first.rows["keypoints"], rows["keypoints"], rtol=1e-6)
    np.testing.assert_array_equal(first.rows["keypoint_labels"], rows["keypoint_labels"])
    np.testing.assert_array_equal(second.rows["keypoint_labels"], np.zeros((2, 2)))


COLUMNS = np.array([[-1.5, 1.5, 1.6, 3.9, 1, 2, 10, 0.3], [np.nan] * 8], np.float32)


def boxes3d_item(index, camera):
    fields = {"classes": ["cat", -1], "ignored": [False, True], "names": ["cat", "crowd"]}
    rows = {**camera, **from_columns(COLUMNS), "truncated": [0.5, 0], "occluded": [2, 3]}
    return make_item(index, rows=rows, **fields)


def test_unusable_images_and_ignored_objects_are_counted(tmp_path):
    items = [boxes3d_item(0, {"camera": np.eye(3, 4)}), boxes3d_item(1, {})]
    report = write(items, tmp_path, properties=[Boxes3d()], skip_bad=True)
    ((_, reason),) = report.images_skipped
    assert reason.startswith("its camera is [[0.0") and report.boxes_dropped == {"image skipped": 2}
    assert report.objects_per_class == {"cat": 1} and report.ignored == {"crowd": 1} and report.boxes_written == 2
    dataset = open_dataset(tmp_path)
    (record,) = iterate(dataset)
    assert dataset.properties == (Boxes3d(),) and dataset.objects == 2
    assert dataset.report["boxes"]["ignored"] == {"crowd": 1} and "properties" not in dataset.report
    np.testing.assert_array_equal(record.rows["camera"], np.eye(3, 4))
    np.testing.assert_array_equal(columns(record.rows), COLUMNS)
    assert record.names == ("cat", "crowd") and record.rows["occluded"].tolist() == [2, 3]


def bad_items():
    """Every kind of trouble among good images."""
    return [
        make_item(0, boxes=((0, 0, 9, 9), (3, 3, 3, 3))),
        make_item(1, boxes=((7, 7, 7, 7),)),
        make_item(2, boxes=((-4, 0, 9, 9),), left_out={"class not chosen": 2}),
        make_item(3, source=jpeg()[:-30]),
        make_item(4, width=48, height=64),
        make_item(5, broken=Fault("annotation not readable", "no XML"), boxes=()),
        make_item(6, faults=(Fault("annotation not readable", "row 3 has no box"),)),
        make_item(7, source=Image.fromarray(np.zeros((48, 64, 3), np.uint8)).convert("CMYK")),
    ]


def with_cmyk(items):
    stream = io.BytesIO()
    items[7].source.save(stream, "JPEG")
    return [*items[:7], make_item(7, source=stream.getvalue())]


def test_skip_bad_counts_everything(tmp_path):
    report = write(with_cmyk(bad_items()), tmp_path, skip_bad=True)
    assert (report.images_in, report.images_written, report.images_empty) == (8, 5, 1)
    assert [name for name, _ in report.images_skipped] == ["0003.jpg", "0004.jpg", "0005.jpg"]
    assert "cannot be decoded in full" in report.images_skipped[0][1]
    assert "annotated for 48 x 64 pixels" in report.images_skipped[1][1]
    assert report.images_skipped[2][1] == "no XML"
    assert report.images_changed == {"CMYK to RGB": 1}
    assert (report.boxes_in, report.boxes_written, report.boxes_clipped) == (15, 6, 1)
    assert report.boxes_dropped == {
        "zero area": 2, "class not chosen": 2, "image skipped": 4, "annotation not readable": 1,
    }  # fmt: skip
    assert report.boxes_in == report.boxes_written + sum(report.boxes_dropped.values())
    assert [name for name, _ in report.dropped] == ["0000.jpg", "0001.jpg", "0006.jpg"]
    assert len(list(iterate(open_dataset(tmp_path)))) == 5


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (0, "0000.jpg: box 2 of 2 has zero area: left 3, top 3, right 3, bottom 3. Correct it, or pass --skip-bad"),
        (3, "0003.jpg: the JPEG image cannot be decoded in full"),
        (4, "0004.jpg: annotated for 48 x 64 pixels, but the image has 64 x 48"),
        (5, "0005.jpg: no XML. Correct it"),
        (6, "0006.jpg: row 3 has no box. Correct it"),
    ],
)
def test_first_trouble_stops_and_names_the_file(index, message, tmp_path):
    with pytest.raises(DataError) as error:
        write([make_item(20, key="!", image_id=1), bad_items()[index]], tmp_path)
    assert message in str(error.value) and "--skip-bad" in str(error.value)
    assert contents(tmp_path) == {}


def test_clipping_and_left_out_boxes_need_no_permission(tmp_path):
    report = write([bad_items()[2]], tmp_path)
    assert (report.boxes_in, report.boxes_written, report.boxes_clipped) == (3, 1, 1)


def test_none_usable_is_an_error(tmp_path):
    with pytest.raises(
        DataError, match=r"none of the 1 images can be used; the first, 0000\.jpg: the image file is empty"
    ):
        write([make_item(source=b"")], tmp_path, skip_bad=True)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"image_id": 100}, r"0001\.jpg: image id 100 is already that of 0000\.jpg"),
        ({"key": "0000"}, "key '0000' after '0000'; images must come in ascending order"),
    ],
)
def test_images_must_differ_and_ascend(second, message, tmp_path):
    with pytest.raises(DataError, match=message):
        write([make_item(0), make_item(1, **second)], tmp_path, skip_bad=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shards": 0}, "shards is 0; expected 1 to 500"),
        ({"shards": 3}, "shards is 3, more than the 1 images"),
        ({"workers": 0}, "workers is 0"),
        ({"classes": ()}, "expected at least one name"),
        ({"classes": ("cat", "cat")}, "none twice"),
        ({"split": "a/b"}, "split 'a/b' becomes part of file names"),
    ],
)
def test_impossible_settings_are_refused(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        write([make_item()], tmp_path, **options)


def test_directory_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(UsageError, match="is a file"):
        write([make_item()], tmp_path / "out")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), tf.errors.ResourceExhaustedError(None, None, "No space left")]
)
def test_full_disk_is_explained(error, tmp_path, monkeypatch):
    def write_nothing(self, serialized, video):
        raise error

    monkeypatch.setattr(shard_files.ShardFiles, "write", write_nothing)
    with pytest.raises(DataError, match=r"out: the records cannot be written \(.*No space left.*Check the free space"):
        write([make_item()], tmp_path / "out")
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("shards", [None, 3])
def test_bytes_do_not_depend_on_workers(shards, tmp_path, monkeypatch):
    monkeypatch.setattr(shard_files, "SHARD_BYTES", 14_000)
    items = [make_item(index) for index in range(12)]
    for workers in (1, 2, 5):
        write(iter(items), tmp_path / str(workers), shards=shards, workers=workers)
    assert len(contents(tmp_path / "1")) == 4  # three shards and dataset.yaml
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "5")


def test_rewriting_leaves_no_old_shard(tmp_path):
    write([make_item(index) for index in range(4)], tmp_path, shards=4)
    (tmp_path / ".writing-killed").mkdir()
    write([make_item(9)], tmp_path, shards=1)
    assert sorted(contents(tmp_path)) == ["dataset.yaml", "train-00000-of-00001.tfrecord"]
    assert [record.image_id for record in iterate(open_dataset(tmp_path))] == [109]


def test_failed_rewriting_keeps_the_old_records(tmp_path):
    write([make_item()], tmp_path)
    before = contents(tmp_path)
    with pytest.raises(DataError):
        write([make_item(0), make_item(1, source=b"")], tmp_path)
    assert contents(tmp_path) == before


def test_another_split_is_never_overwritten(tmp_path):
    write([make_item()], tmp_path)
    with pytest.raises(UsageError, match=r"holds train-00000-of-00001\.tfrecord, which is not of split 'val'"):
        write([make_item()], tmp_path, split="val")


def test_shards_of_other_programs_stay(tmp_path):
    write([make_item(index) for index in range(2)], tmp_path, shards=2)
    foreign = tmp_path / "train-00000-of-00007.tfrecord"
    foreign.write_bytes(b"another program's")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"holds train-00000-of-00007\.tfrecord, which no dataset\.yaml lists.* Move"):
        write([make_item()], tmp_path)
    assert contents(tmp_path) == before
    foreign.unlink()
    write([make_item()], tmp_path, shards=1)
    assert sorted(contents(tmp_path)) == ["dataset.yaml", "train-00000-of-00001.tfrecord"]


def test_shards_that_come_meanwhile_stay_too(tmp_path):
    def items():
        yield make_item()
        (tmp_path / "train-00000-of-00001.tfrecord").write_bytes(b"another program's")

    with pytest.raises(UsageError, match="another program's"):
        write(items(), tmp_path, shards=1)
    assert contents(tmp_path) == {"train-00000-of-00001.tfrecord": b"another program's"}


@pytest.mark.parametrize("text", ["path: data\ntrain: images\n", "[", "shards: all\n"])
def test_a_dataset_yaml_of_something_else_stays(text, tmp_path):
    (tmp_path / "dataset.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"dataset\.yaml: does not describe records, and would be replaced"):
        write([make_item()], tmp_path)
    assert contents(tmp_path) == {"dataset.yaml": text.encode()}


def test_names_that_lead_elsewhere_remove_nothing(tmp_path):
    (tmp_path / "treasure.tfrecord").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dataset.yaml").write_text("shards: [{file: ../treasure.tfrecord}]\n")
    write([make_item()], tmp_path / "out")
    assert (tmp_path / "treasure.tfrecord").exists()


def test_a_second_run_is_told_of_the_first(tmp_path):
    def items():
        yield make_item(0)
        with pytest.raises(UsageError, match=rf"another program is at work in this folder \(process {os.getpid()} on"):
            write([make_item(5)], tmp_path)
        yield make_item(1)

    write(items(), tmp_path)
    assert [record.image_id for record in iterate(open_dataset(tmp_path))] == [100, 101]


def test_progress_counts_every_image(tmp_path):
    seen = []
    write(with_cmyk(bad_items()), tmp_path, skip_bad=True, progress=seen.append)
    assert seen == list(range(1, 9))


KILLED = """
import sys
import numpy as np
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records

def items(total):
    random = np.random.default_rng(0)
    for index in range(total):
        image = random.integers(0, 255, (32, 32, 3), np.uint8)
        yield Item(f"{index:06d}", index, image, f"{index}.png", np.array([[1, 2, 9, 9]]), [0])
        if index % 20 == 0:
            print("alive", flush=True)

write_records(items(100000), directory=sys.argv[1], name="a", split="train", classes=["x"], shards=4)
print("done", flush=True)
"""


@pytest.mark.long
@pytest.mark.parametrize("alive", [1, 5, 12])
def test_killed_run_leaves_no_half_written_shard(alive, tmp_path):
    write([make_item()], tmp_path)
    before = contents(tmp_path)
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        for _ in range(alive):
            assert process.stdout.readline() == b"alive\n"
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    found = contents(tmp_path)
    assert str(process.pid) in found.pop(LOCK_FILE).decode() and found == before
    write([make_item(3)], tmp_path)
    assert sorted(contents(tmp_path)) == ["dataset.yaml", "train-00000-of-00001.tfrecord"]


@pytest.mark.parametrize("call", range(1, 7))
def test_stop_while_naming_leaves_only_whole_shards(call, tmp_path, monkeypatch):
    items = [make_item(index) for index in range(3)]
    write(items, tmp_path / "whole", shards=3)
    write(items, tmp_path / "out", shards=2)
    before, calls = contents(tmp_path / "out"), 0

    class Killed(BaseException):
        pass

    real = shard_files.Path.replace

    def replace(self, target):
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return real(self, target)

    monkeypatch.setattr(shard_files.Path, "replace", replace)
    if call < 6:  # the notes, three shards and dataset.yaml
        with pytest.raises(Killed):
            write(items, tmp_path / "out", shards=3)
    else:
        write(items, tmp_path / "out", shards=3)
    monkeypatch.undo()
    whole, found = contents(tmp_path / "whole"), contents(tmp_path / "out")
    expected = before if call == 1 else whole
    assert all(data == expected[name] for name, data in found.items() if name.endswith(".tfrecord"))
    assert ("dataset.yaml" in found) == (call in (1, 6))
    write(items, tmp_path / "out", shards=3)
    assert contents(tmp_path / "out") == whole
