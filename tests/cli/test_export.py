"""`centernet export`: the formats, and invalid calls."""

import json
import sys

import keras
import pytest

from centernet_tf.cli import main
from centernet_tf.exports.parity import LIMITS, Limits

if keras.backend.backend() != "tensorflow":
    pytest.skip("models are exported on TensorFlow", allow_module_level=True)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, arguments)])
    return ended.value.code


@pytest.mark.long
def test_savedmodel(spot_model, tmp_path, capsys):
    assert run(spot_model, "--out", tmp_path / "spots", "--precision", "bfloat16") == 0
    shown = capsys.readouterr().out
    assert f"{tmp_path / 'spots' / '1'}: 0." in shown and "serving.txt" in shown
    assert (tmp_path / "spots" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("arguments", "rows"),
    [
        (
            ["--out", "a.tflite", "--format", "tflite", "--quantize", "float16", "--size", "64x96"],
            ["TFLite, XNNPACK", "TFLite, built-in kernels"],
        ),
        pytest.param(["--out", "a.onnx", "--format", "onnx"], ["ONNX"], marks=pytest.mark.long),
    ],
)
def test_files(spot_model, arguments, rows, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(spot_model, *arguments) == 0
    shown = capsys.readouterr().out
    assert "Beside the model, on 12 drawn images" in " ".join(shown.split())
    results = json.loads((tmp_path / "a.parity.json").read_text())
    assert [one["name"] for one in results][: len(rows)] == rows
    assert all(one["objects"] > 0 for one in results)


def test_an_export_that_answers_otherwise_fails(spot_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(LIMITS, "float32", Limits(scores=-1.0))
    assert run(spot_model, "--out", tmp_path / "a.onnx", "--format", "onnx") == 1
    assert "results differ from the model's: ONNX: scores differ" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "a.parity.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "taken"], "taken: exists already. Remove it"),
        (["--out", "new", "--format", "savedmodle"], "Unknown format 'savedmodle'. Did you mean 'savedmodel'?"),
        (["--out", "new", "--precision", "float61"], "Unknown precision 'float61'"),
        (
            ["--out", "new", "--quantize", "int8"],
            "--quantize is for --format tflite, onnx; savedmodel does not take it",
        ),
        (["--out", "new.tflite", "--format", "tflite", "--quantize", "int8"], "give --data RECORDS"),
        (["--out", "new.onnx", "--format", "onnx", "--quantize", "int8"], "give --data RECORDS"),
        (["--out", "new.onnx", "--format", "onnx", "--quantize", "float16"], "'float16'; expected none or int8"),
        (["--out", "new.onnx", "--format", "onnx", "--max-objects", "3"], "--max-objects is for --format tflite"),
        (["--out", "new", "--format", "onnx"], "ends in .onnx"),
    ],
)
def test_wrong_calls(spot_model, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert run(spot_model, *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("format", "package"),
    [("tflite", "ai_edge_litert"), ("onnx", "onnx"), ("onnx", "tf2onnx"), ("onnx", "onnxruntime")],
)
def test_missing_packages_are_named_before_the_work(format, package, spot_model, tmp_path, monkeypatch, capsys):
    for name in {package, *(name for name in sys.modules if name.startswith(f"{package}."))}:
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / f"a.{format}"
    assert run(spot_model, "--out", out, "--format", format) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert f"{package} is missing" in shown and f"pip install 'centernet_tf[{format}]'" in shown
    assert not list(tmp_path.iterdir())


def test_maps_without_decode_need_nothing_that_runs_them(spot_model, tmp_path, monkeypatch, capsys):
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    out = tmp_path / "a.tflite"
    assert run(spot_model, "--out", out, "--format", "tflite", "--decode", "none") == 0
    assert out.is_file()


def test_help_offers_what_there_is(capsys):
    assert run("--help") == 0
    assert "browser" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such model file"), (b"", "not a .keras"), (b"PK", "not a .keras")]
)
def test_what_is_no_model(content, message, tmp_path, capsys):
    path = tmp_path / "model.keras"
    if content is not None:
        path.write_bytes(content)
    assert run(path, "--out", tmp_path / "out") == 2
    assert message in " ".join(capsys.readouterr().err.split())
