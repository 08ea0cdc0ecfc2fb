"""One command measures a GPU, without TensorFlow; here on the processor."""

import json
import os
import subprocess
import sys

import pytest

from centernet_tf.benchmark import gpu
from centernet_tf.benchmark.__main__ import TABLES, main
from centernet_tf.errors import UsageError

ROW = {"ms": 2.0, "images_per_second": 500.0, "share": 0.251, "peak_gflops": 9.0, "mb": 12.4, "device_mb": None}


@pytest.fixture
def without_tensorflow(tmp_path):
    """The environment of a process that cannot import TensorFlow."""
    pytest.importorskip("jax")
    folder = tmp_path / "instead" / "tensorflow"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('TensorFlow was imported.')\n")
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    path = os.pathsep.join([str(folder.parent), *(before if before != [""] else [])])
    return {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": path}


def test_it_imports_without_tensorflow(without_tensorflow):
    modules = ", ".join(f"centernet_tf.benchmark.{name}" for name in ("__main__", "gpu", "on_device", "gpu_layer"))
    code = f"import sys, {modules}; print('tensorflow' in sys.modules, 'jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=without_tensorflow, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("False True", 0), done.stderr


@pytest.mark.long
def test_the_command_measures_a_small_network_without_tensorflow(without_tensorflow, tmp_path):
    words = ["--network", "mobilenetv2_fpn:0.35", "--batch", "1", "--precision", "tensorfloat32", "--size", "64"]
    words += ["--part", "layer", "training", "answer", "--shape", "1x8x8x4x4", "--rounds", "1", "--json", "found.json"]
    done = subprocess.run(
        [sys.executable, "-m", "centernet_tf.benchmark", "gpu", *words],
        env=without_tensorflow,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    *rows, layer = found["rows"]
    assert (found["device"], found["size"]) == ("cpu", 64)
    assert [(row["part"], row["batch"]) for row in rows] == [("answer", 1), ("training", 1)]
    for row in rows:
        assert "error" not in row and min(row["ms"], row["share"], row["mb"], row["peak_gflops"]) > 0
    assert min(rows[0]["decode"], rows[1]["render"]) > 0
    assert layer["shape"] == "1x8x8x4x4" and min(layer["jax"]["forward"]["ms"], layer["jax"]["backward"]["ms"]) > 0
    assert "error" in layer["torchvision"] or layer["torchvision"]["forward"]["ms"] > 0
    assert done.stdout.count("mobilenetv2") == 2 and "torchvision" in done.stdout


@pytest.fixture
def told(monkeypatch):
    """What processes would print: by module and first words."""
    answers = {}
    monkeypatch.setattr(gpu, "_process", lambda module, *words: iter(answers[(module, *words[:2])]))
    return answers


def test_rows_are_shown_and_written(told, tmp_path):
    told["on_device", "resnet18", "float32"] = [
        {"device": "NVIDIA H100"},
        {"part": "forward", "batch": 8, **ROW},
        {"part": "answer", "batch": 8, **ROW, "device_mb": 34.2, "decode": 0.125},
        {"part": "training", "batch": 8, "error": "out of memory"},
    ]
    told["gpu_layer", "jax", "9"] = [{"on": "x", "forward": {"ms": 3.0, "mb": 1}, "backward": {"ms": 8.0, "mb": 2}}]
    told["gpu_layer", "torchvision", "9"] = [
        {"on": "GPU", "forward": {"ms": 1.5, "mb": 1}, "backward": {"ms": 5.0, "mb": None}}
    ]
    words = ["--network", "resnet18", "--batch", "8", "--precision", "float32", "--shape", "2x3x4x5x6"]
    rows = gpu.measure([*words, "--json", str(tmp_path / "new.json")])
    case = ("resnet18", "float32", "8")
    layer = ("deformable 2x3x4x5x6", "float32", "2", "forward / and backward", "3.00 / 8.00", "", "", "1 / 2")
    assert rows == [
        (*case, "forward", "2.00", "500.0", "0.25", "12", ""),
        (*case, "answer", "2.00", "500.0", "0.25", "34", "decode 12.5%"),
        (*case, "training", "out of memory", "", "", "", ""),
        (*layer, "2.00 / 1.60 times torchvision's on GPU"),
    ]
    assert {len(row) for row in rows} == {len(TABLES["gpu"][1])}
    found = json.loads((tmp_path / "new.json").read_text())
    assert found["device"] == "NVIDIA H100" and [row.get("part") for row in found["rows"]] == [*gpu.PARTS, None]


@pytest.mark.parametrize(
    ("own", "other", "shown"),
    [
        ({"error": "out of memory"}, {"error": "not installed"}, ("out of memory", "", "", "", "")),
        (
            {"on": "x", "forward": {"ms": 3.0, "mb": 1}, "backward": {"ms": 8.0, "mb": 2}},
            {"error": "not installed"},
            ("3.00 / 8.00", "", "", "1 / 2", "torchvision: not installed"),
        ),
    ],
)
def test_a_layer_without_its_counterpart(told, own, other, shown):
    told["gpu_layer", "jax", "9"], told["gpu_layer", "torchvision", "9"] = [own], [other]
    (row,) = gpu.measure(["--part", "layer", "--shape", "2x3x4x5x6"])
    assert row[4:] == shown


def test_a_process_that_ends_badly_leaves_a_row():
    (row,) = gpu._process("no_such_module")
    assert row == {"error": "ended with exit code 1"}


def test_a_backbone_that_there_is_not_ends_the_command(monkeypatch):
    pytest.importorskip("jax")
    with pytest.raises(UsageError, match=r"Unknown backbone 'dla3'\. Did you mean 'dla34'"):
        gpu.measure(["--network", "dla3", "--batch", "1"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--precision", "float16"], "invalid choice: 'float16'"),
        (["--batch", "0"], "'0' is not a whole number from 1"),
        (["--shape", "1x2x3"], "'1x2x3' is no shape such as 8x128x128x64x64"),
        (["resnet18"], "unrecognized arguments: resnet18"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(UsageError, match=message):
        main(["gpu", *words])
