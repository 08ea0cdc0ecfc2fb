"""Checkpoint files that PyTorch wrote: converted from the command line, then used as any other model."""

import collections
import csv
import os

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.heads import head_names
from centernet_tf.cli import main
from centernet_tf.config import parse_settings
from centernet_tf.detector.detector import load
from centernet_tf.evaluation import evaluate
from centernet_tf.media.draw import save_image
from centernet_tf.model.file import load_model
from centernet_tf.training.train import train

torch = pytest.importorskip("torch", reason="writing checkpoints needs the extra [torch]")
functional = torch.nn.functional


def as_torch(tensors, start=""):
    """As a network of the official code would save them, counters of batches included."""
    state = collections.OrderedDict()
    for name, value in tensors.items():
        state[start + name] = torch.tensor(value)
        if name.endswith("running_var"):
            state[start + name.replace("running_var", "num_batches_tracked")] = torch.tensor(10)
    return state


OPTIMIZER = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]}
FORMS = {
    "bare": lambda tensors, path: torch.save(as_torch(tensors), path),
    "release": lambda tensors, path: torch.save({"epoch": 140, "state_dict": as_torch(tensors)}, path),
    "training": lambda tensors, path: torch.save(
        {"epoch": 7, "state_dict": as_torch(tensors, "module."), "optimizer": OPTIMIZER}, path
    ),
    "before 1.6": lambda tensors, path: torch.save(
        {"epoch": 140, "state_dict": as_torch(tensors, "module.")}, path, _use_new_zipfile_serialization=False
    ),
}


def residual_network(state, heads, image):
    """The official res_18 in PyTorch's own operators: {head: map}, N C H W."""

    def norm(x, name):
        running, learned = ([state[f"{name}.{end}"] for end in ends] for ends in
                            (("running_mean", "running_var"), ("weight", "bias")))  # fmt: skip
        return functional.batch_norm(x, *running, *learned, eps=1e-5)

    def convolve(x, name, stride, padding):
        return functional.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding)

    x = functional.relu(norm(convolve(image, "conv1", 2, 3), "bn1"))
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            shortcut = x
            if f"{name}.downsample.0.weight" in state:
                shortcut = norm(convolve(x, f"{name}.downsample.0", stride, 0), f"{name}.downsample.1")
            x = functional.relu(norm(convolve(x, f"{name}.conv1", stride, 1), f"{name}.bn1"))
            x = functional.relu(norm(convolve(x, f"{name}.conv2", 1, 1), f"{name}.bn2") + shortcut)
    for place in (0, 3, 6):
        x = functional.conv_transpose2d(x, state[f"deconv_layers.{place}.weight"], stride=2, padding=1)
        x = functional.relu(norm(x, f"deconv_layers.{place + 1}"))
    return {
        name: convolve(functional.relu(convolve(x, f"{name}.0", 1, 1)), f"{name}.2", 1, 0).detach() for name in heads
    }


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Function (*arguments) -> exit code, output, errors; runs in tmp_path."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return end.value.code or 0, *capfd.readouterr()

    return run


@pytest.mark.parametrize(
    "task", ["pose", *(pytest.param(task, marks=pytest.mark.long) for task in ("detect", "box3d"))]
)
def test_equals_pytorch(task, tmp_path, call, official_state, official_heads):
    """Other forms of files give the same tensors, see `test_state_dict`."""
    heads = official_heads[task]
    tensors = official_state("res_18", heads)
    FORMS["release"](tensors, tmp_path / "model.pth")
    names = "person" if task == "pose" else "a,b,c"
    code, output, errors = call("convert", "model.pth", "--out", "model.keras", "--classes", names, "--arch", "res_18")
    assert code == 0, errors
    assert output.startswith(f"resnet18 (res_18), heads of width 64: heatmap {heads['hm']}, ")
    assert f"{len(tensors)} of {len(tensors) + 23} tensors loaded" in output
    assert "left out, batch counter" in output
    assert f"{len(tensors)} weights read back and equal to the checkpoint's, bit for bit" in output

    network, _ = load_model(tmp_path / "model.keras")
    image = np.random.default_rng(0).normal(size=(2, 64, 96, 3)).astype("float32")
    expected = residual_network(as_torch(tensors), heads, torch.tensor(image.transpose(0, 3, 1, 2)))
    ours = network(image, training=False)
    for name, theirs in expected.items():
        theirs = theirs.numpy().transpose(0, 2, 3, 1)
        difference = np.abs(ops.convert_to_numpy(ours[head_names()[name]][0]) - theirs).max() / np.abs(theirs).max()
        assert difference < 1e-3, f"{name} differs by {difference:.1e}"


@pytest.mark.long
@pytest.mark.parametrize(("arch", "form"), [("resdcn_18", "training"), ("dla_34", "bare"), ("dlav0_34", "before 1.6")])
def test_other_networks_from_files(arch, form, tmp_path, call, official_state, official_heads, golden):
    meta, tensors, maps = golden(arch)
    FORMS[form](tensors, tmp_path / "model.pth")
    code, _, errors = call("convert", "model.pth", "--out", "model.keras", "--classes", "a,b,c", "--arch", arch)
    assert code == 0, errors
    ours = load_model(tmp_path / "model.keras")[0](meta["image"], training=False)
    for (stack, head), expected in maps.items():
        found = ops.convert_to_numpy(ours[head_names()[head]][int(stack)])
        assert np.abs(found - expected).max() / np.abs(expected).max() < 1e-3


@pytest.fixture(scope="module")
def whole(tmp_path_factory, official_state, official_heads):
    """A file of res_18."""
    path = tmp_path_factory.mktemp("whole") / "model.pth"
    FORMS["release"](official_state("res_18", official_heads["detect"]), path)
    return path


@pytest.mark.parametrize(
    ("content", "arguments", "said"),
    [
        (b"person\n", (), "not a PyTorch file"),
        (None, (), "no such file"),
        ("cut", (), "Copy or download it again"),
        ("whole", ("--classes", "a,b"), "has 3 channels, but 2 classes were given"),
        ("whole", (), "Name the classes: --classes FILE"),
        ("whole", ("--classes", "a,b,c", "--arch", "hourglass"), "it is a resnet18 (res_18), not hourglass"),
        ("whole", ("--classes", "missing.txt"), "no such file"),
        ("whole", ("--classes", "a,b,c", "--size", "100x100"), "Try 96x96"),
        ("whole", ("--classes", "a,b,c", "--set", "hue=1"), "detect.hue: unknown setting"),
    ],
)
def test_wrong_calls(content, arguments, said, tmp_path, call, whole):
    path = tmp_path / "model.pth"
    if content == "cut":
        path.write_bytes(whole.read_bytes()[:100_000])
    elif content == "whole":
        os.link(whole, path)
    elif content is not None:
        path.write_bytes(content)
    code, _, errors = call("convert", "model.pth", "--out", "model.keras", *arguments)
    assert (code, said in " ".join(errors.split())) == (2, True), errors
    assert not (tmp_path / "model.keras").exists()


@pytest.fixture
def converted(tmp_path, call, shapes_train, official_state, official_heads):
    """model.pth and model.keras in tmp_path, with heads of width 32 and ImageNet's statistics; its tensors."""
    heads = {**official_heads["detect"], "hm": len(shapes_train.classes)}
    tensors = official_state("res_18", heads, width=32)
    FORMS["release"](tensors, tmp_path / "model.pth")
    names = ",".join(shapes_train.classes)
    arguments = ("--classes", names, "--size", "64x64", "--origin", "pascal")
    code, _, errors = call("convert", "model.pth", "--out", "model.keras", *arguments)
    assert code == 0, errors
    return tensors


@pytest.mark.long
def test_a_converted_model_detects_and_is_evaluated(converted, tmp_path, call, shapes_val):
    save_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (50, 70, 3), np.uint8))
    code, _, errors = call("detect", "model.keras", "a.png", "--out", "found")
    assert code == 0, errors
    assert (tmp_path / "found" / "a.png").exists()
    assert 0 <= evaluate(load("model.keras"), shapes_val).coco.summary["AP"] <= 1


@pytest.mark.long
def test_training_goes_on_from_it(converted, tmp_path, shapes_train):
    settings = parse_settings(
        {
            "backbone": "res_18",
            "head_channels": 32,
            "weights": "model.pth",
            "data": {"train": str(shapes_train.directory), "size": [64, 64], "shuffle": 24},
            "train": {"epochs": 1, "batch_size": 12, "learning_rate": 1e-5},
            "evaluate": {"images": 0},
        },
        "the test",
    )
    said = []
    trained, card = load_model(train(settings, tmp_path / "run", said.append))
    assert said[0].startswith(f"model.pth: {len(converted)} of {len(converted)} weights loaded.")
    assert (card.backbone, card.head_channels) == ("resnet18", 32)
    assert card.input.mean[0] == 0.40789654  # COCO's, since a bare checkpoint does not tell its own
    start = {weight.path: ops.convert_to_numpy(weight) for weight in load_model("model.keras")[0].weights}
    for weight in trained.weights:
        moved = np.abs(ops.convert_to_numpy(weight) - start[weight.path]).max()
        if weight.path.endswith(("moving_mean", "moving_variance")):
            assert moved > 0  # Statistics follow the new data, a tenth of the way at each step.
        else:
            assert moved < 1e-4, weight.path
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["learning_rate"]) == pytest.approx(1e-5)
