"""Whole runs on drawn shapes, and runs that are killed and go on."""

import csv
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

from centernet_tf.backbones import find_backbone
from centernet_tf.centers import Centers
from centernet_tf.config import parse_settings, read_settings, write_settings
from centernet_tf.data.records import iterate, open_dataset, save_dataset
from centernet_tf.datasets import figures, shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.detector import load
from centernet_tf.errors import UsageError
from centernet_tf.model_file import InputCard, ModelCard, load_model, save_model
from centernet_tf.network import build_network
from centernet_tf.train import train


def settings_of(train_records, validation=None, **changes):
    content = {
        "backbone": "mobilenetv2_fpn",
        "data": {"train": str(train_records.directory), "size": [64, 64], "shuffle": 24},
        "train": {"epochs": 2, "batch": 4, "learning_rate": 1e-3, "average": 0.9},
        "evaluate": {"every": 1, "batch": 4, "pictures": 2},
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
    assert boards == {"train", "validation", "pictures"}


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
    assert said[0] == "Going on after step 12, epoch 2.00 of 2."
    assert rows_of(out) == before


def complaint(*arguments):
    with pytest.raises(UsageError) as error:
        train(*arguments, say=lambda line: None)
    return str(error.value)


def test_another_run_in_the_same_folder(run, shapes_train, shapes_val):
    out, *_ = run
    other = {"train": {"epochs": 3, "seed": 5}, "evaluate": {"every": 2}, "loss": {"weights": {"size": 0.2}}}
    other = settings_of(shapes_train, shapes_val, **other)
    assert complaint(other, out) == (
        f"{out} holds a run with other settings (loss.weights.size: None there, 0.2 now; train.epochs: 2 there, 3 now; "
        "train.seed: 317 there, 5 now). "
        "Choose another --out, or remove it."
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"joint_classes": ["circle"]}, "joint_classes: this says something of task pose, which is not trained."),
        ({"skeleton": "none.yaml"}, "skeleton: this says something of task pose, which is not trained."),
        (
            {"data": {"size": [64, 100]}},
            "data.size is [64, 100], but mobilenetv2_fpn takes multiples of 32. Try [64, 96].",
        ),
        ({"data": {"size": [8, 64]}}, "data.size is [8, 64], but mobilenetv2_fpn takes multiples of 32. Try [32, 64]."),
        (
            {"train": {"batch": 25}},
            "{train}: 24 images do not fill one batch of 25. Set train.batch lower, or add images.",
        ),
        ({"backbone": "resnet81"}, "Unknown backbone 'resnet81'. Did you mean 'resnet18'? Known: "),
        ({"task": "detekt"}, "Unknown task 'detekt'. Did you mean 'detect'? Known: "),
        ({"backbone": "resnet18:2"}, "resnet18:2: resnet18 takes nothing behind a colon. Write resnet18. "),
        ({"backbone": "mobilenetv2_fpn:9"}, "mobilenetv2_fpn:9: '9' is no width. "),
        ({"weights": "imagenet"}, "weights: imagenet: Keras has none for mobilenetv2_fpn. Give a PyTorch file of its "),
        ({"weights": "/nowhere/model.keras"}, "/nowhere/model.keras: no such model file."),
        ({"data": {"train": "/nowhere/train"}}, "/nowhere/train: "),
        (
            {"augment": {"rotate": 9, "rotate_probability": 1}},
            "augment.rotate: boxes do not turn, so only joints learn",
        ),
        ({"joint_classes": ["circel"]}, "joint_classes: unknown class 'circel'. Did you mean 'circle'?"),
        ({"task": "pose"}, "{train}: its dataset.yaml has no skeleton, which task 'pose' needs."),
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
    assert text == f"{tmp_path}/file/run: cannot be made a folder (Not a directory)."


def write_figures(directory, split, count, skeleton=True):
    classes, items, joints = figures.read(count, (64, 64), split=split, stage=figures.Stage(persons=(1, 2)))
    names = {"classes": classes, "skeleton": joints, "shards": 1}
    write_records(items, directory=directory, name="figures", split=split, **names)
    dataset = open_dataset(directory)
    if not skeleton:
        save_dataset(dataclasses.replace(dataset, skeleton=None))
    return open_dataset(directory)


@pytest.mark.slow
def test_joints_beside_boxes(tmp_path):
    records, validation = (write_figures(tmp_path / split, split, 8) for split in ("train", "val"))
    settings = settings_of(
        records,
        validation,
        task=["detect", "pose"],
        joint_classes=["person"],
        augment={"rotate": 20, "rotate_probability": 0.5},
        evaluate={"pictures": 0},
    )
    detector = load(train(settings, tmp_path / "run", lambda line: None))
    assert detector.card.skeleton == records.skeleton and detector.card.joint_classes == ("person",)
    assert {"joints_loss", "joint_heatmap_loss", "joint_offset_loss", "val_AP"} < set(rows_of(tmp_path / "run")[0])
    count = len(records.skeleton.joints)
    for options in ({}, {"flip": True}):
        found = detector.with_options(**options)(next(iterate(validation)).image, threshold=0)
        assert found.fields["joints"].shape == (len(found), count, 2)
        scores = found.fields["joint_scores"]
        assert scores.shape == (len(found), count) and ((scores > 0).all(axis=1) == (found.classes == 0)).all()


@pytest.mark.slow
def test_where_the_skeleton_comes_from(tmp_path):
    records = write_figures(tmp_path / "train", "train", 4, skeleton=False)
    with pytest.raises(UsageError, match="has no skeleton, which task 'pose' needs"):
        train(settings_of(records, task="pose"), tmp_path / "run")
    path = tmp_path / "skeleton.yaml"
    path.write_text("joints: [one, two]")
    known = write_figures(tmp_path / "known", "train", 4)
    with pytest.raises(UsageError, match="joints one, two, but"):
        train(settings_of(known, task="pose", skeleton=str(path)), tmp_path / "run")
    path.write_text(f"joints: [{', '.join(known.skeleton.joints)}]")
    settings = settings_of(records, task="pose", skeleton=str(path), train={"epochs": 1}, evaluate={"pictures": 0})
    detector = load(train(settings, tmp_path / "run", lambda line: None))
    assert detector.card.skeleton.joints == known.skeleton.joints and not detector.card.skeleton.flip_pairs


def test_a_keras_application_from_its_own_weights(shapes_train, shapes_val, tmp_path):
    """The name that was given rebuilds the network from the model file, and the trunk sees the pixels it expects."""
    path, backbone = tmp_path / "trunk.weights.h5", "keras_application:MobileNet"
    keras.applications.MobileNet(include_top=False, weights=None, input_shape=(None, None, 3)).save_weights(path)
    changes = {"backbone": backbone, "weights": str(path), "train": {"epochs": 1, "batch": 12, "average": 0}}
    said = []
    model = train(settings_of(shapes_train, shapes_val, **changes), tmp_path / "run", said.append)
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
from centernet_tf import backbones
from centernet_tf.config import read_settings
from centernet_tf.train import train

config, out, moment = sys.argv[1:]


def small(inputs):
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(8, 4, 4, use_bias=False, name="stem")(image)
    x = keras.layers.ReLU(name="relu")(keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model({"image": image}, {"stack1": x})


backbones.BACKBONES["small"] = backbones.Backbone(small, head_channels=8)


class Watcher(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses, self.evaluations = [], 0

    def kill(self, name):
        if moment == name:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_begin(self, batch, logs=None):
        if os.path.exists(os.path.join(out, "state.npz")):
            self.kill("first checkpoint")

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append((batch + 1) * logs["loss"])
        self.kill(f"step {int(self.model.optimizer.iterations)}")

    def on_test_batch_end(self, batch, logs=None):
        self.kill("evaluation")

    def on_epoch_end(self, epoch, logs=None):
        self.kill(f"epoch {epoch + 1}")


watcher = Watcher()
train(read_settings(config), out, extra=[watcher])
print(json.dumps(watcher.losses))
"""


def run_program(folder, out, moment="", backend=None) -> subprocess.CompletedProcess:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"} | ({"KERAS_BACKEND": backend} if backend else {})
    command = [sys.executable, str(program), str(folder / "run.yaml"), str(out), moment]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500)


# A checkpoint every two steps and six steps an epoch, so the second is at hand when the first epoch ends.
MOMENTS = ["first checkpoint", "step 5", "evaluation", "epoch 1"]


@pytest.mark.slow
def test_a_run_killed_four_times_ends_like_an_unbroken_one(shapes_train, shapes_val, tmp_path):
    settings = settings_of(
        shapes_train,
        shapes_val,
        backbone="small",
        train={"checkpoint_steps": 2, "warmup_steps": 4, "clip_norm": 10},
        evaluate={"pictures": 0},
    )
    write_settings(settings, tmp_path / "run.yaml")
    done = run_program(tmp_path, tmp_path / "unbroken")
    assert done.returncode == 0, done.stderr
    for moment in MOMENTS:
        done = run_program(tmp_path, tmp_path / "broken", moment)
        assert done.returncode == -signal.SIGKILL, f"{moment}: {done.stderr}"
    done = run_program(tmp_path, tmp_path / "broken")
    assert done.returncode == 0, done.stderr
    assert "Going on after step 4, epoch 0.67 of 2." in done.stdout

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
    classes, items = shapes.read(80, (64, 64))
    write_records(items, directory=tmp_path / "train", name="shapes", split="train", classes=classes)
    keras.utils.set_random_seed(0)
    network = build_network("resnet18", Centers(len(classes)).heads())
    card = ModelCard(
        tasks=("detect",),
        backbone="resnet18",
        classes=classes,
        max_objects=100,
        input=InputCard(height=64, width=64, stride=32),
    )
    save_model(tmp_path / "start.keras", network, card)
    settings = settings_of(
        open_dataset(tmp_path / "train"),
        backbone="resnet18",
        weights=str(tmp_path / "start.keras"),
        train={"epochs": 1, "learning_rate": 2e-6, "average": 0},
        evaluate={"pictures": 0},
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
