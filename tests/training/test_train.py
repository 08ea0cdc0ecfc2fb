"""Whole runs on drawn shapes, and runs that are killed and go on."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.backbones import find_backbone
from centernet_tf.config import parse_settings, read_settings, write_settings
from centernet_tf.data.dataset import iterate, open_dataset, save_dataset
from centernet_tf.datasets.drawn import shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector.detector import load
from centernet_tf.errors import DataError, UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model, save_model
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.training.train import _chosen, train


def settings_of(train_records, validation=None, **changes):
    content = {
        "backbone": "tiny",
        "data": {"train": str(train_records.directory), "size": [64, 64], "shuffle": 24},
        "train": {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "ema": 0.9},
        "evaluate": {"every": 1, "batch_size": 4, "images": 2},
    }
    if validation:
        content["data"]["validation"] = str(validation.directory)
    for name, value in changes.items():
        if isinstance(value, dict):
            content[name] = {**content.get(name, {}), **value}
        else:
            content[name] = value
    return parse_settings(content, "the test")


def rows_of(out):
    with (out / "log.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def run(shapes_train, shapes_val, tmp_path_factory):
    """A finished run of two epochs: (folder, settings, lines said, model to use)."""
    out = tmp_path_factory.mktemp("runs") / "deep" / "run"
    settings, said = settings_of(shapes_train, shapes_val, evaluate={"every": 2}), []
    return out, settings, said, train(settings, out, said.append)


def test_a_run_leaves_everything_behind(run, shapes_train):
    out, settings, said, model = run
    assert {path.name for path in out.iterdir()} == {
        "best.keras",
        "last.keras",
        "log.csv",
        "settings.yaml",
        "state.npz",
        "board",
    }
    assert model == out / "best.keras"
    assert said[-1].startswith("Trained to step 12 in ")
    assert read_settings(out / "settings.yaml") == settings
    rows = rows_of(out)
    assert [row["epoch"] for row in rows] == [1, 2]
    names = {"loss", "heatmap_loss", "offset_loss", "size_loss", "center_score"}
    scores = {"val_AP", "val_AP50"}
    assert set(rows[0]) == {"epoch", "learning_rate"} | names
    assert set(rows[1]) == set(rows[0]) | {f"val_{name}" for name in names} | scores
    assert rows[1]["heatmap_loss"] < rows[0]["heatmap_loss"]
    assert rows[0]["learning_rate"] == pytest.approx(1e-3)
    boards = {str(path.parent.relative_to(out / "board")) for path in (out / "board").rglob("events*")}
    assert boards == {"train", "validation", "images"}


def test_the_model_file_is_enough(run, shapes_train, shapes_val):
    out, settings, _, model = run
    detector = load(model)
    assert detector.names == shapes_train.classes
    about = detector.card.about
    assert about["data"] == "shapes"
    assert about["settings"] == settings.model_dump(mode="json")
    assert about["AP"] == rows_of(out)[1]["val_AP"]
    found = detector([record.image for record in iterate(shapes_val)], threshold=0)
    assert [len(one) for one in found] == [100] * 8


def test_a_finished_run_has_nothing_to_do(run):
    out, settings, _, model = run
    before, said = rows_of(out), []
    assert train(settings, out, said.append) == model
    assert said[0] == "Resuming after step 12, epoch 2.00 of 2."
    assert rows_of(out) == before


@pytest.mark.long
def test_a_run_that_gets_no_better_ends_and_stays_ended(shapes_train, shapes_val, tmp_path):
    train_settings = {"epochs": 5, "patience": 1, "learning_rate": 1e-9, "ema": 0}
    settings = settings_of(shapes_train, shapes_val, train=train_settings, evaluate={"images": 0})
    for _ in range(2):
        said = []
        assert train(settings, tmp_path / "run", said.append) == tmp_path / "run" / "best.keras"
        assert [row["epoch"] for row in rows_of(tmp_path / "run")] == [1, 2]
        assert said[-2] == "No better score since epoch 1, so the run ends after 2 of 5 (train.patience: 1)."


def test_what_is_auto_is_chosen_and_told(shapes_train, shapes_val):
    auto = {"epochs": "auto", "batch_size": "auto"}
    settings = settings_of(shapes_train, shapes_val, data={"size": "auto"}, train=auto)
    said = []
    chosen = _chosen(settings, shapes_train, 2, said.append)
    size, epochs = chosen.data.size, chosen.train.epochs
    assert all(side % 32 == 0 for side in size) and chosen.train.batch_size == 8 and epochs * (24 // 8) >= 1000
    assert said[0].startswith(f"data.size: {list(size)}, for 24 of 24 images are ")
    assert said[1].startswith("train.batch_size: 8, for 24 images make 3 steps of an epoch, 4 on each of 2 devices")
    assert said[2].startswith(f"train.epochs: {epochs}, for 24 images make ")
    assert _chosen(chosen, shapes_train, 1, said.append) is chosen and len(said) == 3


def complaint(*arguments):
    with pytest.raises(UsageError) as error:
        train(*arguments, say=lambda line: None)
    return str(error.value)


def test_another_run_in_the_same_folder(run, shapes_train, shapes_val):
    out, *_ = run
    other = {"train": {"epochs": 3, "seed": 5}, "evaluate": {"every": 2}, "loss": {"weights": {"size": 0.2}}}
    other = settings_of(shapes_train, shapes_val, **other)
    assert complaint(other, out) == (
        f"{out} holds a run with other settings (loss.weights.size: None there, 0.2 now; train.seed: 317 there, 5 "
        "now). "
        "Choose another --out, or remove it. Only train.epochs may grow, and train.devices may change."
    )
    fewer = settings_of(shapes_train, shapes_val, train={"epochs": 1}, evaluate={"every": 2})
    assert "(train.epochs: 2 there, 1 now)" in complaint(fewer, out)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"data": {"size": [64, 100]}}, "data.size is [64, 100], but tiny takes multiples of 32. Try [64, 96]."),
        ({"data": {"size": [8, 64]}}, "data.size is [8, 64], but tiny takes multiples of 32. Try [32, 64]."),
        (
            {"train": {"batch_size": 25}},
            "{train}: 24 images do not fill one batch of 25. Set train.batch_size lower, or add images.",
        ),
        ({"train": {"patience": 3}}, "train.patience waits for a better score, and nothing is scored. Set data."),
        ({"backbone": "resnet81"}, "Unknown backbone 'resnet81'. Did you mean 'resnet18'? Known: "),
        ({"backbone": "resnet18:2"}, "resnet18:2: resnet18 takes no argument after a colon. Write resnet18. "),
        ({"backbone": "mobilenetv2_fpn:9"}, "mobilenetv2_fpn:9: '9' is not a valid width. "),
        ({"weights": "imagenet"}, "weights: imagenet: Keras has none for tiny. Give a PyTorch file of its "),
        ({"weights": "/nowhere/model.keras"}, "/nowhere/model.keras: no such model file."),
        ({"data": {"train": "/nowhere/train"}}, "/nowhere/train: "),
        (
            {"augment": {"rotate": 9, "rotate_probability": 1}},
            "augment.rotate: boxes do not rotate, and no task here learns anything else from rotated images.",
        ),
        (
            {"augment": {"mosaic": 0.8, "mixup": 0.4}},
            "augment.mosaic: mosaic 0.8 + mixup 0.4 is more than 1; an input is made in one of these ways at most.",
        ),
        ({"loss": {"weights": {"sise": 1}}}, "loss.weights: no term 'sise'. Did you mean 'size'? Known here: "),
        ({"task": "pose"}, "{train}: its dataset.yaml has no keypoints, which task 'pose' needs."),
        (
            {"task": "pose", "pose": {"skeleton": {"keypoints": ["a"]}, "classes": ["circel"]}},
            "pose.classes: unknown class 'circel'. Did you mean 'circle'?",
        ),
        ({"classes": ["cat", "dog"]}, "{train}: classes ['circle', "),
    ],
)
def test_what_does_not_fit_is_said_before_a_run_begins(shapes_train, tmp_path, changes, text):
    settings = settings_of(shapes_train, **{"train": {"epochs": 1}, **changes})
    assert complaint(settings, tmp_path / "run").startswith(text.replace("{train}", str(shapes_train.directory)))
    assert not (tmp_path / "run" / "settings.yaml").exists(), "a corrected call must not meet its own mistake"


def test_records_must_agree_on_their_classes(shapes_train, shapes_val, tmp_path):
    copy = tmp_path / "val"
    shutil.copytree(shapes_val.directory, copy)
    turned = tuple(reversed(shapes_val.classes))
    save_dataset(dataclasses.replace(shapes_val, directory=copy, classes=turned))
    settings = settings_of(shapes_train)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"validation": copy})})
    assert complaint(settings, tmp_path / "run") == (
        f"{copy}: classes {list(turned)}, expected {list(shapes_train.classes)}, in this order. "
        "Write the records again with --classes, or correct the setting 'classes'."
    )


def test_a_folder_that_cannot_be(shapes_train, tmp_path):
    (tmp_path / "file").write_text("")
    text = complaint(settings_of(shapes_train), tmp_path / "file" / "run")
    assert text == f"{tmp_path}/file/run: cannot create this folder (Not a directory)."


def test_weights_of_a_shipped_model_keep_its_normalisation(run, shapes_train, tmp_path, ship):
    network, card = load_model(run[3])
    pixels = card.input.model_copy(update={"mean": (0.1, 0.2, 0.3), "order": "rgb"})
    save_model(tmp_path / "start.keras", network, card.model_copy(update={"input": pixels}))
    ship(tmp_path / "start.keras", "a-start")
    settings = settings_of(
        shapes_train,
        weights="a-start",
        data={"order": "bgr"},
        train={"epochs": 1, "batch_size": 24},
        evaluate={"images": 0},
    )
    said = []
    found = load(train(settings, tmp_path / "run", said.append)).card.input
    count = len(network.weights)
    assert said[0] == f"a-start: {count} of {count} weights loaded."
    assert (found.mean, found.order) == ((0.1, 0.2, 0.3), "bgr"), "settings win over what the weights bring"


@pytest.mark.long
def test_a_keras_application_from_its_own_weights(shapes_train, shapes_val, tmp_path):
    """The name that was given rebuilds the network from the model file, and the trunk sees the pixels it expects."""
    path, backbone = tmp_path / "trunk.weights.h5", "keras_application:MobileNet"
    keras.applications.MobileNet(include_top=False, weights=None, input_shape=(None, None, 3)).save_weights(path)
    changes = {"backbone": backbone, "weights": str(path), "train": {"epochs": 1, "batch_size": 24, "ema": 0}}
    said = []
    model = train(settings_of(shapes_train, **changes, evaluate={"images": 0}), tmp_path / "run", said.append)
    assert said[0] == f"{path}: 135 of 197 weights loaded; the rest starts from scratch."
    detector = load(model)
    assert detector.card.backbone == backbone
    assert detector.card.input.normalization == find_backbone(backbone).normalization
    found = detector([record.image for record in iterate(shapes_val)], threshold=0)
    assert [len(one) for one in found] == [100] * 8


# What a process of its own runs. With a moment, it ends there as a power cut would end it.
PROGRAM = """
import json, os, signal, sys
import keras
from centernet_tf.config import read_settings
from centernet_tf.training.train import train

tests, config, out, moment = sys.argv[1:]
sys.path.insert(0, tests)
import conftest  # knows the backbone of tests


class Watcher(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses, self.evaluations = [], 0

    def kill(self, name):
        if moment == name:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append((batch + 1) * logs["loss"])
        self.kill(f"step {int(self.model.optimizer.iterations)}")

    def on_test_batch_end(self, batch, logs=None):
        self.kill("evaluation")


watcher = Watcher()
train(read_settings(config), out, extra=[watcher])
print(json.dumps(watcher.losses))
"""


def run_program(folder, out, moment="", backend=None) -> subprocess.CompletedProcess:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({"KERAS_BACKEND": backend} if backend else {})
    command = [sys.executable, str(program), str(Path(__file__).parents[1]), str(folder / "run.yaml"), str(out), moment]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)


# A checkpoint every two steps and six steps an epoch, so the second is at hand when the first epoch ends.
MOMENTS = ["step 5", "evaluation"]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize(
    "moments", [pytest.param(MOMENTS[:1], marks=pytest.mark.release, id="once"), pytest.param(MOMENTS, id="twice")]
)
def test_a_run_that_is_killed_ends_like_an_unbroken_one(shapes_train, shapes_val, tmp_path, moments):
    settings = settings_of(
        shapes_train,
        shapes_val,
        backbone="tiny",
        train={"checkpoint_steps": 2, "warmup_steps": 4, "clip_norm": 10},
        evaluate={"images": 0},
    )
    write_settings(settings, tmp_path / "run.yaml")
    done = run_program(tmp_path, tmp_path / "unbroken")
    assert done.returncode == 0, done.stderr
    for moment in moments:
        done = run_program(tmp_path, tmp_path / "broken", moment)
        assert done.returncode == -signal.SIGKILL, f"{moment}: {done.stderr}"
    done = run_program(tmp_path, tmp_path / "broken")
    assert done.returncode == 0, done.stderr
    assert "Resuming after step 4, epoch 0.67 of 2." in done.stdout

    expected, found = rows_of(tmp_path / "unbroken"), rows_of(tmp_path / "broken")
    assert found == [pytest.approx(row, rel=1e-4, abs=1e-6) for row in expected]
    for name in ("last.keras", "best.keras"):
        (one, card), (other, other_card) = (load_model(tmp_path / run / name) for run in ("unbroken", "broken"))
        assert card.about["epoch"] == other_card.about["epoch"]
        for weight, first, second in zip(one.weights, one.get_weights(), other.get_weights()):
            np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5, err_msg=weight.path)
    names = [{path.name for path in (tmp_path / run).iterdir()} for run in ("unbroken", "broken")]
    assert names[0] == names[1], "a kill leaves no half-written file behind"


@pytest.mark.long
def test_backends_train_alike(tmp_path):
    """Twenty steps from the same weights on the same batches, of every backend the same losses and the same way.

    The learning rate is small, for Adam enlarges rounding: at 1e-4 the loss drifts by 0.3 % within ten steps, on one
    backend alone when its first weights are changed by a ten millionth.
    """
    pytest.importorskip("jax")
    classes, items, _ = shapes.read(80, (64, 64))
    write_records(items, directory=tmp_path / "train", name="shapes", split="train", classes=classes)
    keras.utils.set_random_seed(0)
    network = build_network("tiny", Centers(len(classes)).heads())
    card = ModelCard(
        tasks={"detect": {}},
        backbone="tiny",
        classes=classes,
        max_objects=100,
        input=InputCard(height=64, width=64, stride=4),
    )
    save_model(tmp_path / "start.keras", network, card)
    settings = settings_of(
        open_dataset(tmp_path / "train"),
        backbone="tiny",
        weights=str(tmp_path / "start.keras"),
        train={"epochs": 1, "learning_rate": 2e-6, "ema": 0},
        evaluate={"images": 0},
    )
    write_settings(settings, tmp_path / "run.yaml")
    losses, moves = {}, {}
    for backend in ("tensorflow", "jax"):
        done = run_program(tmp_path, tmp_path / backend, backend=backend)
        assert done.returncode == 0, done.stderr
        assert f"{len(network.weights)} of {len(network.weights)} weights loaded." in done.stdout
        losses[backend] = np.diff(json.loads(done.stdout.splitlines()[-1]), prepend=0)
        trained = load_model(tmp_path / backend / "last.keras")[0].get_weights()
        moves[backend] = [(after - before).ravel() for before, after in zip(network.get_weights(), trained)]
    assert len(losses["jax"]) == 20
    np.testing.assert_allclose(losses["jax"], losses["tensorflow"], rtol=1e-3)
    for weight, one, other in zip(network.weights, moves["jax"], moves["tensorflow"]):
        assert one @ other > 0.97 * np.linalg.norm(one) * np.linalg.norm(other) > 0, weight.path


@pytest.mark.long
@pytest.mark.parametrize(
    "kept", [pytest.param(slice(3), id="cut"), pytest.param(slice(None, None, -1), id="turned round")]
)
def test_a_class_list_that_is_not_the_records_ends_the_run(kept, shapes_train, tmp_path):
    folder = tmp_path / "records"
    shutil.copytree(shapes_train.directory, folder)
    classes = shapes_train.classes[kept]
    save_dataset(dataclasses.replace(shapes_train, directory=folder, classes=classes, objects_per_class={}))
    with pytest.raises(DataError, match=r"a record cannot be read .*(labels 1 to 3|is called .*, but its label)"):
        train(settings_of(open_dataset(folder), evaluate={"images": 0}), tmp_path / "run", lambda line: None)
