"""Settings of interactions: from records, wrong ones, classes that are not there; and the whole way through a run."""

from types import SimpleNamespace

import numpy as np
import pydantic
import pytest
import yaml

from centernet_tf import cli, load
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.exports.runners import open_runner
from centernet_tf.points.centers import Centers
from centernet_tf.properties.interactions import Interactions
from centernet_tf.tasks.hoi import Hoi

KNOWN = Interactions(verbs=("ride", "walk", "hold"), allowed={"ride": ("dog",)})
NOTHING = {"pairs": np.zeros((0, 2), int), "verbs": np.zeros(0, int)}


def records(known=KNOWN, rows=(NOTHING,)):
    return SimpleNamespace(
        directory="here",
        classes=("person", "dog"),
        property=lambda name: known,
        head=lambda count: [SimpleNamespace(rows=one) for one in rows[:count]],
    )


def test_records_complete_the_settings():
    assert Hoi().complete(records()).alone == ()
    rows = [NOTHING, {"pairs": np.array([[0, -1], [1, 0], [0, -1]]), "verbs": np.array([1, 2, 2])}]
    made = Hoi().complete(records(rows=rows))
    assert (made.verbs, made.allowed, made.alone) == (KNOWN.verbs, {"ride": ("dog",)}, ("walk",))
    assert Hoi(alone=(), allowed={"hold": ("dog",)}).complete(records()).allowed == {"hold": ("dog",)}


@pytest.mark.parametrize(
    ("settings", "known", "message"),
    [
        ({}, None, "its dataset.yaml has no interactions"),
        ({"verbs": ("ride",)}, KNOWN, "hoi.verbs: ride, but here has ride, walk, hold. Leave"),
        ({"alone": ("wolk",)}, KNOWN, r"hoi: unknown verb 'wolk'. Did you mean 'walk'\? Known: ride, walk, hold"),
    ],
)
def test_wrong_records(settings, known, message):
    with pytest.raises(UsageError, match=message):
        Hoi(**settings).complete(records(known))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"verbs": ("a", "a")}, "named twice"),
        ({"verbs": ("a",), "allowed": {"b": ("dog",)}}, "unknown verb 'b'"),
        ({"reach": 30.0}, "reach is a setting of head vector"),
        ({"subject": ()}, "no object would be a subject"),
        ({"max_pairs": 0}, "greater than 0"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        Hoi(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs verbs"),
        ({"verbs": ("a",), "subject": ("persn",)}, r"hoi.subject: unknown 'persn'. Did you mean 'person'\?"),
        ({"verbs": ("a",), "allowed": {"a": ("cat",)}}, "hoi.allowed: a: unknown 'cat'"),
    ],
)
def test_unknown_to_the_network(settings, message):
    with pytest.raises(UsageError, match=message):
        Hoi(**settings).build(Centers(2, class_names=("person", "dog")))


SIZE, VERBS = 64, ("under", "rest")


def drawn(count, seed):
    """Images in which a red square is above a blue one, and a green one that rests."""
    random = np.random.default_rng(seed)
    for number in range(count):
        image = np.full((SIZE, SIZE, 3), 40, np.uint8)
        boxes = np.array([[6, 38, 26, 58], [6, 4, 26, 24], [38, 22, 58, 42]]) + random.integers(-3, 4, (3, 2)).repeat(
            2, axis=0
        ).reshape(3, 4)
        for (left, top, right, bottom), color in zip(boxes, np.eye(3)):
            image[top:bottom, left:right] = color * 255
        rows = {"pairs": [[0, 1], [2, -1]], "verbs": [0, 1]}
        yield Item(f"{number:03}", number + 1, image, f"{number}.png", boxes, ["red", "green", "blue"], rows=rows)


def program(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert not ended.value.code


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short training by the program; its folder and the first image."""
    folder = tmp_path_factory.mktemp("hoi")
    options = {"name": "drawn", "split": "train", "classes": ["red", "green", "blue"]}
    write_records(drawn(48, 0), directory=folder / "train", properties=(Interactions(verbs=VERBS),), **options)
    settings = {
        "task": "hoi",
        "backbone": "tiny",
        "max_objects": 8,
        "data": {"train": str(folder / "train"), "validation": str(folder / "train"), "size": [SIZE, SIZE]},
        "augment": {"crop": False, "jitter_probability": 0, "flip": 0, "brightness": 0, "contrast": 0}
        | {"saturation": 0, "lighting": 0},
        "train": {"epochs": 16, "batch_size": 8, "learning_rate": 1e-2, "ema": 0},
        "evaluate": {"every": 16, "images": 1},
    }
    (folder / "hoi.yaml").write_text(yaml.safe_dump(settings))
    program("train", folder / "hoi.yaml", "--out", folder / "run")
    return folder / "run", next(drawn(1, 0)).source


@pytest.mark.slow
@pytest.mark.long
def test_a_run_learns_who_does_what(run):
    folder, image = run
    lines = (folder / "log.csv").read_text().splitlines()
    first, last = (dict(zip(lines[0].split(","), line.split(","))) for line in (lines[1], lines[-1]))
    for term in ("verb_loss", "subject_offset_loss", "object_offset_loss"):
        assert float(last[term]) < 0.6 * float(first[term]), term
    detector = load(folder / "last.keras")
    assert detector.card.tasks["hoi"]["alone"] == ["rest"]
    found = detector(image)
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    true = np.array([[16, 48], [16, 14], [48, 32]])
    near = np.linalg.norm(middles[:, None] - true, axis=-1).argmin(axis=1)
    told = [(near[s], -1 if o < 0 else near[o], int(verb)) for (s, o), verb in zip(found.pairs.rows, found.pairs.verbs)]
    assert set(told[:2]) == {(0, 1, 0), (2, -1, 1)}
    assert len(found[:0].pairs) == 0
    row = int(found.pairs.rows[[verb == 1 for verb in found.pairs.verbs]][0, 0])
    assert found[[row]].pairs.rows.tolist()[0] == [0, -1], "an object that is none cannot be left out"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("kind", ["savedmodel", "tflite", "onnx"])
def test_exports_answer_pair_by_pair(kind, run, tmp_path):
    folder, image = run
    out = tmp_path / {"savedmodel": "served", "tflite": "phone.tflite", "onnx": "model.onnx"}[kind]
    program("export", folder / "last.keras", "--out", out, "--format", kind)
    expected, answered = load(folder / "last.keras")(image, threshold=0), open_runner(out)(image)
    count = int((expected.pairs.scores > 0.05).sum())
    assert count >= 2
    np.testing.assert_array_equal(answered.pairs.rows[:count], expected.pairs.rows[:count])
    np.testing.assert_array_equal(answered.pairs.verbs[:count], expected.pairs.verbs[:count])
    np.testing.assert_allclose(answered.pairs.scores[:count], expected.pairs.scores[:count], atol=1e-3)
