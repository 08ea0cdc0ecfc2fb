"""Records by Apache Beam are those of threads, byte for byte, as is what is said of them; `beam` is an extra."""

import json
import os
import signal
import sys
import time

import cv2
import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.datasets import beam, coco
from centernet_tf.datasets.drawn import film, masked_shapes, shapes
from centernet_tf.datasets.items import Item, Split
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.property import Fault

# In the process of the test, for what does not depend on there being several.
HERE = ("--direct_running_mode=in_memory", "--direct_num_workers=1")


@pytest.fixture
def by_beam(monkeypatch):
    """`beam.by_beam`, with chunks of few images; skips where Apache Beam is not installed."""
    pytest.importorskip("apache_beam", reason="an extra that takes 380 MB and an older protobuf than the other tests")
    monkeypatch.setattr(beam, "CHUNK", 3)
    return beam.by_beam


def write(split, directory, runner=None, **options):
    classes, items, properties = split
    settings = {"directory": directory, "name": "a", "split": "train", "classes": classes, "properties": properties}
    return write_records(items, runner=runner, **{**settings, **options})


def contents(directory):
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def make(index, boxes=((1, 2, 30, 40),), **fields):
    image = np.full((48, 64, 3), index, np.uint8)
    values = {"source": image, "boxes": np.array(boxes, float).reshape(-1, 4), "classes": ["cat"] * len(boxes)}
    return Item(key=f"{index:03d}", image_id=index, filename=f"{index}.png", **{**values, **fields})


def bad_items():
    """Good images, and every kind of trouble."""
    yield from (make(index) for index in range(5))
    yield make(5, boxes=((7, 7, 7, 7), (1, 1, 5, 5)))
    yield make(6, source=b"no image")
    yield make(7, broken=Fault("annotation not readable", "no XML"), boxes=())
    yield make(8, boxes=((-4, 0, 9, 9),), left_out={"class not chosen": 2})
    yield make(9, width=5, height=9)


def coco_split(folder):
    """Eight images in files."""
    folder.mkdir()
    images, annotations = [], []
    for number in range(8):
        cv2.imwrite(str(folder / f"{number}.jpg"), np.full((40, 50, 3), 20 * number, np.uint8))
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 50, "height": 40})
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 20, 20 + number], "iscrowd": 0}
        annotations.append({**box, "area": 99})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cat"}]}
    (folder / "a.json").write_text(json.dumps(content))
    return coco.read(folder / "a.json", folder)


SPLITS = {
    "shapes": lambda folder: shapes.read(10, (64, 64)),
    "masks": lambda folder: masked_shapes.read(4, (64, 64)),
    "videos": lambda folder: film.read(4, (64, 64), film=film.Film(frames=4)),
    "coco": coco_split,
    "tiny": lambda folder: Split(("cat",), [make(0)]),
}


@pytest.mark.long
@pytest.mark.parametrize("name", SPLITS)
@pytest.mark.parametrize("shards", [None, 1])
def test_the_bytes_are_those_of_threads(name, shards, by_beam, tmp_path):
    split = SPLITS[name](tmp_path / "in")
    assert write(split, tmp_path / "b", by_beam(HERE), shards=shards) == write(split, tmp_path / "a", shards=shards)
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.long
@pytest.mark.parametrize("name", ["shapes", "videos", "coco"])
def test_the_bytes_of_two_processes_are_those_of_threads(name, by_beam, tmp_path):
    split, done = SPLITS[name](tmp_path / "in"), []
    report = write(split, tmp_path / "b", by_beam(workers=2), shards=2, progress=done.append)
    assert report == write(split, tmp_path / "a", shards=2) and done == list(range(1, report.images_in + 1))
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.long
def test_bad_records_are_counted_as_by_threads(by_beam, tmp_path):
    ways = {"a": None, "b": by_beam(HERE)}
    reports = [
        write(Split(("cat",), bad_items()), tmp_path / name, runner, skip_bad=True) for name, runner in ways.items()
    ]
    assert reports[0] == reports[1] and len(reports[0].images_skipped) == 3 and len(reports[0].dropped) == 1
    assert contents(tmp_path / "b") == contents(tmp_path / "a")


@pytest.mark.long
@pytest.mark.parametrize(
    "items",
    [
        lambda: bad_items(),
        lambda: [make(0), make(0)],
        lambda: [make(1), make(0)],
        lambda: [make(0, rows={"nobody": [1]})],
        lambda: [make(0), make(1, source=b""), make(2, rows={"nobody": [1]})],
        list,
    ],
)
def test_the_first_bad_record_stops_as_with_threads(items, by_beam, tmp_path):
    said = []
    for name, runner in (("a", None), ("b", by_beam(HERE))):
        with pytest.raises((DataError, UsageError)) as error:
            write(Split(("cat",), items()), tmp_path / name, runner)
        said.append((error.type, str(error.value)))
        assert contents(tmp_path / name) == {}
    assert said[0] == said[1]


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["local://", ""])
def test_chunks_lie_where_beam_is_told_and_are_removed(scheme, by_beam, tmp_path):
    split, temporary = SPLITS["coco"](tmp_path / "in"), f"{scheme}{tmp_path}/chunks"
    write(split, tmp_path / "b", by_beam([*HERE, f"--temp_location={temporary}"]))
    write(split, tmp_path / "a")
    assert contents(tmp_path / "b") == contents(tmp_path / "a")
    assert (tmp_path / "chunks").is_dir() and not [one for one in (tmp_path / "chunks").rglob("*") if one.is_file()]


def kill_me(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of Beam's threads
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_worker_ends_the_run(by_beam, tmp_path):
    class Killing(type(shapes.read(1, (64, 64)).items)):
        def __getitem__(self, index):
            return kill_me(index) if index == 4 else super().__getitem__(index)

    classes, items, properties = shapes.read(10, (64, 64))
    items.__class__ = Killing
    began = time.monotonic()
    with pytest.raises(DataError, match=r"Apache Beam has stopped: its process \d+ was killed"):
        write((classes, items, properties), tmp_path / "b", by_beam(workers=2))
    assert time.monotonic() - began < 60 and contents(tmp_path / "b") == {}


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Function (*words) -> exit code, output, errors; runs in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["records", "shapes", "--count", "4", "--size", "64", "--out", "out", *words])
        return end.value.code or 0, *capfd.readouterr()

    return run


def test_a_missing_extra_is_told_before_any_work(call, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    code, _, errors = call("--runner", "beam")
    assert code == 2 and "pip install 'centernet_tf[beam]'" in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "expected direct, beam, or beam and its options"),
        ("baem", "Did you mean 'beam'?"),
        ("direct --workers 3", "expected direct, beam"),
        ("'", "No closing quotation"),
    ],
)
def test_runners_that_nobody_knows(value, said, call, tmp_path):
    code, _, errors = call("--runner", value)
    assert code == 2 and said in errors and list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_the_command(call, by_beam, tmp_path):
    code, _, errors = call("--runner", "beam --direct_num_workers=many")
    assert code == 2 and "invalid int value: 'many'" in errors and list(tmp_path.iterdir()) == []
    code, output, errors = call("--runner", f"beam {' '.join(HERE)}")
    assert code == 0 and "written" in output, errors
    assert call("--out", "direct")[0] == 0
    ours, theirs = contents(tmp_path / "out"), contents(tmp_path / "direct")
    assert ours == theirs
