"""Every command that writes, on a disk that is full: it says so and fails, and whatever has a name is whole."""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import mock

import cv2
import keras
import pytest
import yaml
from PIL import Image

from centernet_tf.cli import COMMANDS, main
from centernet_tf.media.draw import save_image
from centernet_tf.media.video import VideoWriter
from centernet_tf.model.file import save_model

if keras.backend.backend() != "tensorflow":
    pytest.skip("models are exported on TensorFlow", allow_module_level=True)

SETTINGS = {
    "backbone": "tiny",
    "data": {"train": "train", "validation": "val", "size": [64, 64], "shuffle": 24},
    "train": {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "checkpoint_steps": 2},
    "evaluate": {"batch_size": 4, "images": 2},
}
MADE = {"median": 1.0, "p95": 1.0, "read": 1.0, "fit": 1.0, "run": 1.0, "finish": 1.0, "memory": 1.0, "size": 1.0}
# What each command is called with where all inputs lie; everything it writes goes to out.
CALLS = {
    "records": "records shapes --count 8 --size 64x64 --out out",
    "inspect": "inspect val --size 64 --json out/i.json --sheet out/i.png",
    "init": "init detect --data train --out out/mine.yaml",
    "train": "train run.yaml --out out",
    "evaluate": "evaluate last.keras --data val --json out/e.json --plot out/e.png",
    "convert": "convert net.pth --out out/c.keras",
    "benchmark": "benchmark spots.keras --images in --json out/b.json",
    "export savedmodel": "export spots.keras --out out/served",
    "export tflite": "export spots.keras --format tflite --out out/e.tflite",
    "export onnx": "export spots.keras --format onnx --out out/e.onnx",
    "models": "models --json out/m.json",
    "detect images": "detect spots.keras in/a.png in/b.png --out out --heatmaps --kitti out/txt --csv out/t.csv "
    "--save-txt out/yolo",
    "detect shards": "detect spots.keras in/a.png in/b.png --out out --format jsonl --block-size 1",
    "detect videos": "detect spots.keras in/clip.mp4 --out out --heatmaps",
}

QUICK = ("records", "train", "evaluate", "export tflite", "detect videos")  # the others are `long`

# What is said where something cannot be written.
SAID = re.compile(r"(?s)centernet: .*out.*(cannot be written|can be read back from what was written|cannot write a)")
PAGE = 4096
# Free pages of a disk in which not all has room, in an order whose beginning has all kinds.
PAGES = (4, 26, 0, 60, 1, 16, 2, 40, 8, 90)
DISKS = int(os.environ.get("HOSTILE_DISKS", len(PAGES)))  # of each command; continuous integration has fewer


class Disk:
    """The folder out, as a disk of its own of 2 MB."""

    def __init__(self, folder):
        self.folder, self.filler = folder, folder / "filler"

    def leave(self, pages):
        """Fills it but for so many pages, in each of which is at most one file."""
        self.filler.unlink(missing_ok=True)
        free = os.statvfs(self.folder).f_bavail
        self.filler.write_bytes(bytes((free - pages) * PAGE))

    def empty(self):
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def disk(place):
    folder = place / "out"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a disk; other tests limit the size of files")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def place(tmp_path, monkeypatch, spot_model, spot_network, spot_card, shapes_train, shapes_val, draw_spots):
    """A folder with everything that the calls read; the program runs in it."""
    monkeypatch.chdir(tmp_path)
    for name, records in (("train", shapes_train), ("val", shapes_val)):
        Path(name).symlink_to(records.directory)
    Path("spots.keras").symlink_to(spot_model)
    shapes = spot_card.model_copy(update={"classes": shapes_val.classes})
    widths = {"heatmap": len(shapes.classes), "offset": 2, "size": 2}
    heads = {name: keras.layers.Conv2D(width, 1) for name, width in widths.items()}
    image = keras.Input((None, None, 3))
    mean = keras.layers.AveragePooling2D(4)(image)
    save_model(Path("last.keras"), keras.Model(image, {name: [head(mean)] for name, head in heads.items()}), shapes)
    Path("run.yaml").write_text(yaml.safe_dump(SETTINGS))
    for name in ("a", "b"):
        save_image(Path("in", f"{name}.png"), draw_spots(96, 64, (30, 40, 0), (70, 20, 1)))
    writer = VideoWriter(Path("in", "clip.mp4"), 10, (64, 64))
    for step in range(12):
        writer.write(draw_spots(64, 64, (8 + 4 * step, 34, 0)))
    writer.close()
    monkeypatch.setattr("centernet_tf.benchmark.models.measure_apart", lambda *_: MADE)
    converted = Converted(keras.models.clone_model(spot_network), spot_card)
    monkeypatch.setattr("centernet_tf.checkpoints.convert.convert", lambda *_, **__: converted)
    monkeypatch.setattr("centernet_tf.checkpoints.convert.verify", lambda *_: 0)
    return tmp_path


class Converted:
    """What conversion of a checkpoint gives."""

    report = ()

    def __init__(self, network, card):
        self.network, self.card = network, card


def call(text):
    """Exit code and errors of one call."""
    errors = io.StringIO()
    with (
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as end,
    ):
        main(text.split())
    return end.value.code or 0, errors.getvalue()


def names(folder):
    """All files but TensorBoard's, whose names have the time in them, and which grow."""
    found = (path for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.name != "filler")
    return [str(path) for path in found if "board" not in path.parts]


def files(folder):
    return {name: Path(name).read_bytes() for name in names(folder)}


def check_whole(path):
    """Reads a result in full."""
    content = path.read_bytes()
    if path.suffix == ".json":
        json.loads(content)
    elif path.suffix == ".jsonl":
        assert content.endswith(b"\n") and all(map(json.loads, content.splitlines()))
    elif path.suffix in (".yaml", ".pbtxt"):
        assert yaml.safe_load(content.split(b"item {")[0] or b"-")
    elif path.suffix == ".png":
        Image.open(io.BytesIO(content)).load()
    elif path.suffix in (".keras", ".npz"):
        assert zipfile.ZipFile(path).testzip() is None
    elif path.suffix == ".mp4":
        capture = cv2.VideoCapture(str(path))
        assert sum(1 for _ in iter(capture.grab, False)) == 12
    elif path.suffix == ".csv":
        assert len({line.count(b",") for line in content.splitlines()}) == 1
    elif path.suffix == ".txt":
        assert content.endswith(b"\n")
    else:
        assert path.suffix in (".tflite", ".onnx", ".tfrecord") or path.parent.name == "x", path


def test_every_command_is_here():
    # By the same code, `track` writes what `detect` does of a video, and `pretrain` what `records` and `train` do;
    # `demo` writes nothing.
    assert {name.split()[0] for name in CALLS} == set(COMMANDS) - {"track", "pretrain", "demo"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in CALLS]
)
def test_no_room_at_all(name, place, disk):
    """Files can be made, but nothing can be put into them."""
    disk.leave(0)
    code, errors = call(CALLS[name])
    assert code == 1 and SAID.search(errors), errors
    assert files("out") == {}


@pytest.mark.long
@pytest.mark.parametrize("name", CALLS)
def test_room_for_a_part(name, place, disk):
    """Whatever the disk holds, a call succeeds with all its files, or fails and those with a name are whole."""
    assert call(CALLS[name]) == (0, mock.ANY)
    complete, failed = set(names("out")), 0
    for pages in PAGES[:DISKS]:
        disk.empty()
        disk.leave(pages)
        code, errors = call(CALLS[name])
        assert set(names("out")) == complete if code == 0 else SAID.search(errors), (pages, code, errors)
        for path in names("out"):
            check_whole(Path(path))
        failed += code != 0
    assert failed


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("init", "train", "export savedmodel")])
def test_older_results_stay(name, place, disk):
    """But for those three commands, which replace nothing."""
    assert call(CALLS[name]) == (0, mock.ANY)
    before = files("out")
    disk.leave(0)
    code, errors = call(CALLS[name])
    assert code == 1 and SAID.search(errors), errors
    assert files("out") == before
