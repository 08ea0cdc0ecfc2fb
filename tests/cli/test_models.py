"""`centernet models`, and names of models in place of files."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from centernet_tf.cli import main
from centernet_tf.demo import server
from centernet_tf.errors import DataError
from centernet_tf.media.draw import save_image
from centernet_tf.model.shipped import shipped


def run(*arguments):
    """Exit code of the program."""
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    return ended.value.code or 0


@pytest.fixture
def photo(two_spots, draw_spots):
    """An image with a red and a green spot, where one model comes with the package."""
    save_image("photo.png", draw_spots(128, 128, (40, 40, 0), (90, 70, 1)))
    return two_spots


def test_the_table_and_its_json(tmp_path, capsys):
    assert run("models", "--json", tmp_path / "models.json") == 0
    shown = capsys.readouterr().out
    told = {one["name"]: one for one in json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))}
    assert told.keys() == shipped().keys()
    for name, one in shipped().items():
        assert {**told[name], "tasks": tuple(told[name]["tasks"])} == one.as_dict()
        (row,) = (line for line in shown.splitlines() if f" {name} " in line)
        assert f" {one.sha256[:8]} " in row and f" {one.told['score']} " in row


def test_the_table_needs_neither_tensorflow_nor_keras():
    code = "import sys; from centernet_tf.cli import main\ntry: main(['models'])\n"
    code += "finally: print({'tensorflow', 'keras'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "drawn-shapes" in shown.stdout and shown.stdout.endswith("set()\n")


def test_detect_by_name(photo):
    assert run("detect", "two-spots", "photo.png", "--out", "found") == 0
    told = json.loads(Path("found/detections.json").read_text(encoding="utf-8"))
    assert told["model"] == "two-spots"
    assert {one["category"] for one in told["images"][0]["detections"]} == {"red", "green"}


@pytest.mark.long
def test_shards_by_name(photo):
    assert run("detect", "two-spots", "photo.png", "--out", "found", "--format", "jsonl") == 0
    assert json.loads(Path("found/run.json").read_text(encoding="utf-8"))["model_sha256"] == photo.sha256


@pytest.mark.parametrize("command", ["detect", "track", "export", "evaluate", "benchmark", "demo"])
def test_a_name_that_is_none(command, photo, capsys):
    rest = {
        "detect": ("photo.png", "--out", "found"),
        "track": (".", "--out", "found"),
        "export": ("--out", "found"),
        "evaluate": ("--data", "records"),
    }
    if command == "export" and keras.backend.backend() != "tensorflow":
        pytest.skip("models are exported on TensorFlow")
    assert run(command, "two-spot", *rest.get(command, ())) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "two-spot: no such model file." in said and said.endswith("Did you mean 'two-spots'?")


@pytest.mark.parametrize("given", [(), ("two-spots", "two-spots")])
def test_the_page_shows_them(given, two_spots, monkeypatch):
    shown = []

    def opened(models, host, port):
        shown.extend(models)
        raise DataError

    monkeypatch.setattr(server, "open_server", opened)
    assert run("demo", *given) == 1
    assert [one.title for one in shown] == ["two-spots"] * max(1, len(given))
    assert shown[0].detector.names == ("red", "green")
