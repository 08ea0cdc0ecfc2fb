"""A property and a task that nobody has heard of go the whole way without a change to the package.

Their text is that of docs/add_a_property.md, so the page cannot be wrong.
"""

import base64
import http.server
import importlib.util
import json
import re
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
import yaml

from centernet_tf import cli, load
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.exports.runners import open_runner
from centernet_tf.media.images import read_image
from centernet_tf.properties import PROPERTIES
from centernet_tf.serving.client import RestClient
from centernet_tf.tasks import TASKS

PAGE = Path(__file__).parents[2] / "docs" / "add_a_property.md"
COLORS = {"red": 0.0, "green": 2 * np.pi / 3, "blue": -2 * np.pi / 3}
SIZE = 64


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page's module, in the tables while the tests of this file run."""
    (text,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path_factory.mktemp("page") / "hue.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("hue", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del PROPERTIES["hue"], TASKS["hue"]


def drawn(count, seed):
    """Images with two squares, whose colours are their hues; the first belongs to the second."""
    random = np.random.default_rng(seed)
    for number in range(count):
        image = np.full((SIZE, SIZE, 3), 40, np.uint8)
        words = random.choice(list(COLORS), 2)
        boxes = np.array([[4, 8, 24, 28], [36, 32, 60, 56]]) + random.integers(-3, 4, (2, 1))
        for (left, top, right, bottom), word in zip(boxes, words):
            image[top:bottom, left:right] = np.eye(3)[list(COLORS).index(word)] * 255
        rows = {"hues": [COLORS[word] for word in words], "hue_words": words, "mates": [[0, 1]]}
        yield Item(f"{number:03}", number + 1, image, f"{number}.png", boxes, ["square"] * 2, rows=rows)


@pytest.fixture(scope="module")
def records(page, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    report = write_records(
        drawn(32, 0), directory=folder, name="hues", split="train", classes=["square"], properties=(page.Hue(),)
    )
    assert report.boxes_written == 64
    return folder


@pytest.fixture(scope="module")
def run(records, tmp_path_factory):
    """A short training by the program; its folder."""
    folder = tmp_path_factory.mktemp("run")
    settings = {
        "task": "hue",
        "hue": {"weight": 2.0},
        "backbone": "tiny",
        "max_objects": 8,
        "data": {"train": str(records), "validation": str(records), "size": [SIZE, SIZE]},
        "augment": {"crop": False, "jitter_probability": 0, "flip": 0, "brightness": 0, "contrast": 0}
        | {"saturation": 0, "lighting": 0},
        "train": {"epochs": 12, "batch_size": 8, "learning_rate": 1e-2},
        "evaluate": {"every": 12, "images": 1},
    }
    path = folder / "hue.yaml"
    path.write_text(yaml.safe_dump(settings))
    program("train", path, "--out", folder / "run")
    return folder / "run"


def program(*arguments, code=0):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert (ended.value.code or 0) == code


def test_records_hold_it(records, page):
    dataset = open_dataset(records)
    assert dataset.properties == (page.Hue(),)
    for record, item in zip(iterate(dataset), drawn(32, 0)):
        np.testing.assert_allclose(record.rows["hues"], item.rows["hues"], rtol=1e-6)
        assert list(record.rows["hue_words"]) == list(item.rows["hue_words"])
        np.testing.assert_array_equal(record.rows["mates"], [[0, 1]])


def test_a_bad_object_is_left_out_with_its_pair(page, tmp_path):
    items = list(drawn(2, 1))
    items[0].rows["hues"][1] = 9.0
    options = {"name": "hues", "split": "train", "classes": ["square"], "properties": (page.Hue(),)}
    report = write_records(items, directory=tmp_path, skip_bad=True, **options)
    assert dict(report.boxes_dropped) == {"bad hue": 1}
    first, second = iterate(open_dataset(tmp_path))
    assert first.rows["mates"].shape == (0, 2)
    np.testing.assert_array_equal(second.rows["mates"], [[0, 1]])


def test_inspect_tells_of_it(records, tmp_path, capsys):
    program(
        "inspect", records, "--size", "64x64", "--json", tmp_path / "report.json", "--sheet", tmp_path / "sheet.png"
    )
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sound"]
    assert sum(report["properties"]["hue"].values()) == 64
    assert "hues" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None


def test_the_loss_falls(run):
    lines = (run / "log.csv").read_text().splitlines()
    names = lines[0].split(",")
    first, last = (dict(zip(names, map(str, line.split(",")))) for line in (lines[1], lines[-1]))
    for term in ("hue_loss", "mate_loss", "heatmap_loss"):
        assert float(last[term]) < 0.8 * float(first[term]), term


def test_evaluate_scores_it(run, records, tmp_path, capsys):
    program("evaluate", run / "last.keras", "--data", records, "--json", tmp_path / "scores.json")
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert 0 <= scores["hue"]["error"] < np.pi / 2
    assert "mean error of hue" in capsys.readouterr().out


@pytest.fixture(scope="module")
def detector(run):
    """The trained model, which is loaded and traced once."""
    return load(run / "last.keras")


@pytest.fixture(scope="module")
def image(records, tmp_path_factory):
    """The first image as a file."""
    path = tmp_path_factory.mktemp("images") / "first.png"
    record = next(iterate(open_dataset(records)))
    path.write_bytes(record.image)
    return path


def test_detect_tells_and_draws_it(run, detector, image, tmp_path):
    program("detect", run / "last.keras", image, "--out", tmp_path, "--threshold", "0.01")
    (line,) = json.loads((tmp_path / "detections.json").read_text())["images"]
    assert line["detections"]
    assert all(-np.pi <= one["hue"] <= np.pi for one in line["detections"])
    found = detector(image, threshold=0.01)
    assert found.pairs is not None
    assert len(found.pairs.rows) <= len(found)
    plain = found.__class__(found.boxes, found.scores, found.classes, found.names, found.image_size)
    picture = read_image(image)
    assert (found.draw(picture, 0) != plain.draw(picture, 0)).any()


@pytest.fixture(scope="module")
def exported(run, records, tmp_path_factory):
    """A function that makes the export of a format once, compared on images of one size; its path."""
    folder = tmp_path_factory.mktemp("exports")

    def make(kind):
        out = folder / {"savedmodel": "served", "tflite": "phone.tflite", "onnx": "model.onnx"}[kind]
        if not out.exists():
            program("export", run / "last.keras", "--out", out, "--format", kind, "--data", records)
        return out

    return make


@pytest.mark.parametrize(
    "kind", ["savedmodel", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("tflite", "onnx"))]
)
def test_exports_answer_it(detector, image, kind, exported):
    runner = open_runner(exported(kind))
    expected, answered = detector(image, threshold=0), runner(image)
    count = min(len(expected), len(answered), 4)
    np.testing.assert_allclose(answered.scores[:count], expected.scores[:count], atol=1e-4)
    np.testing.assert_allclose(answered.fields["hues"][:count], expected.fields["hues"][:count], atol=1e-3)
    np.testing.assert_array_equal(answered.pairs.rows[:count], expected.pairs.rows[:count])


class Server(http.server.BaseHTTPRequestHandler):
    """Answers as TensorFlow Serving does, with the outputs of the signature for files."""

    signature = None

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        files = [base64.b64decode(one["b64"]) for one in request["inputs"]["image_bytes"]]
        outputs = self.signature(image_bytes=tf.constant(files))
        body = json.dumps({"outputs": {name: value.numpy().tolist() for name, value in outputs.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Says nothing."""


def test_the_rest_client_reads_it(detector, image, exported, page):
    served = open_runner(exported("savedmodel"))
    handler = type("Served", (Server,), {"signature": staticmethod(served.loaded.signatures["image_bytes"])})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = RestClient(f"http://127.0.0.1:{server.server_port}", "hues", ["square"], properties=(page.Hue(),))
        (found,) = client.predict([image], threshold=0.01)
        server.shutdown()
    expected = detector(image, threshold=0.01)
    assert len(found) == len(expected) > 0
    np.testing.assert_allclose(found.fields["hues"], expected.fields["hues"], atol=1e-3)
    np.testing.assert_array_equal(found.pairs.rows, expected.pairs.rows)
