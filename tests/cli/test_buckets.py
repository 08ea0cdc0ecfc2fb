"""The program with records in a bucket, from the first record to the score, and with all else, which stays here."""

import json

import fsspec
import numpy as np
import pytest

from centernet_tf.cli import main
from centernet_tf.config import parse_settings, read_settings
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.fetched import FOLDER
from centernet_tf.errors import UsageError
from centernet_tf.host.bucket import Bucket
from centernet_tf.media.draw import save_image
from centernet_tf.model.file import load_model
from centernet_tf.training.train import train

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Function (words) -> exit code, output, errors; runs in tmp_path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))

    def run(words):
        with pytest.raises(SystemExit) as end:
            main(words.split())
        return end.value.code or 0, *capfd.readouterr()

    yield run
    fsspec.filesystem("memory").store.clear()


def test_records_are_written_inspected_and_scored_there(call, spot_model, draw_spots, tmp_path):
    for number in range(3):
        save_image(tmp_path / "in" / f"{number}.png", draw_spots(64, 64, (20 + 8 * number, 30, 0)))
        (tmp_path / "in" / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    code, output, errors = call("records yolo in --classes red,green --split val --out memory://b/spots/val")
    assert code == 0 and output.startswith("memory://b/spots/val"), errors
    assert open_dataset("memory://b/spots/val").name == "spots"
    code, _, errors = call("records yolo in --classes red,green --validation 0.4 --out memory://b/two")
    assert code == 0, errors
    both = [open_dataset(f"memory://b/two/{split}") for split in ("train", "val")]
    assert [one.name for one in both] == ["two", "two"] and sum(one.images for one in both) == 3
    code, _, errors = call("init --data memory://b/spots/val")
    assert code == 0, errors
    data = read_settings(tmp_path / "mine.yaml").data
    assert (str(data.train), str(data.validation)) == ("memory://b/spots/val", "memory://b/spots/val")
    code, output, errors = call("inspect memory://b/spots/val --size 64 --json i.json")
    assert code == 0 and "memory://b/spots/val" in output, errors
    assert json.loads((tmp_path / "i.json").read_text())["path"] == "memory://b/spots/val"
    code, _, errors = call(f"evaluate {spot_model} --data memory://b/spots/val --json e.json")
    assert code == 0, errors
    assert json.loads((tmp_path / "e.json").read_text())["data"] == "memory://b/spots/val"


def test_images_are_searched_there(call, spot_model, draw_spots, tmp_path):
    for name in "ab":
        save_image(tmp_path / f"{name}.png", draw_spots(96, 64, (30, 40, 0), (70, 20, 1)))
        Bucket(f"memory://b/in/{name}.png").put(tmp_path / f"{name}.png")
    code, output, errors = call(f"detect {spot_model} memory://b/in --out out")
    assert code == 0 and output.startswith("2 images: 4 objects"), errors
    rows = json.loads((tmp_path / "out" / "detections.json").read_text())["images"]
    assert [row["file_name"] for row in rows] == ["memory://b/in/a.png", "memory://b/in/b.png"]
    assert call(f"detect {spot_model} memory://b/in/none.png --out out")[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train run.yaml --out s3://b/run", "out: s3://b/run is in a bucket, where only records are read and written"),
        ("train gs://b/run.yaml --out run", "config: gs://b/run.yaml is in a bucket"),
        ("inspect a --sheet s3://b/sheet.png", "sheet: s3://b/sheet.png is in a bucket"),
        ("detect memory://b/last.keras a.png --out out", "model: memory://b/last.keras is in a bucket"),
        ("records coco s3://b/a.json in --out out", "annotations: s3://b/a.json is in a bucket"),
        ("records jde memory://b/a.txt --out out", "lists: memory://b/a.txt is in a bucket"),
        ("records shapes --count 2 --out nix://b/a", "nix://b/a: cannot be opened"),
    ],
)
def test_what_must_be_here_says_so(words, said, call, tmp_path):
    code, _, errors = call(words)
    assert code == 2 and said in errors
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_a_bucket_is_refused_in_python_too(call, shapes_train):
    settings = parse_settings({"backbone": "tiny", "data": {"train": str(shapes_train.directory)}}, "the test")
    with pytest.raises(UsageError, match=r"s3://b/run is in a bucket; runs are written to a folder of this machine"):
        train(settings, "s3://b/run")


@pytest.mark.long
def test_a_training_is_that_of_a_folder(call, tmp_path):
    for split, count in (("train", 24), ("val", 8)):
        for place in ("memory://b", "records"):
            words = f"records shapes --count {count} --size 64x64 --shards 2 --split {split} --out {place}/{split}"
            assert call(words)[0] == 0
    weights = []
    for place in ("memory://b", "records"):
        data = {"train": f"{place}/train", "validation": f"{place}/val", "size": [64, 64], "shuffle": 24}
        fit = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3}
        content = {"backbone": "tiny", "data": data, "train": fit, "evaluate": {"batch_size": 4, "images": 2}}
        settings = parse_settings(content, "the test")
        model = train(settings, tmp_path / "runs" / place.replace("/", ""))
        assert train(settings, tmp_path / "runs" / place.replace("/", "")) == model  # a finished run is resumed
        weights.append(load_model(model)[0].get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
