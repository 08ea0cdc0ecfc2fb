"""`centernet export`: the formats, and calls that are wrong."""

import keras
import pytest

from centernet_tf.cli import main

if keras.backend.backend() != "tensorflow":
    pytest.skip("models are exported on TensorFlow", allow_module_level=True)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, arguments)])
    return ended.value.code


def test_savedmodel(spot_model, tmp_path, capsys):
    assert run(spot_model, "--out", tmp_path / "spots", "--precision", "bfloat16") == 0
    shown = capsys.readouterr().out
    assert f"{tmp_path / 'spots' / '1'}: 0." in shown and "serving.txt" in shown
    assert (tmp_path / "spots" / "1" / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "taken"], "taken: exists already. Remove it"),
        (["--out", "new", "--format", "savedmodle"], "Unknown format 'savedmodle'. Did you mean 'savedmodel'?"),
        (["--out", "new", "--precision", "float61"], "Unknown precision 'float61'"),
    ],
)
def test_wrong_calls(spot_model, arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    assert run(spot_model, *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such model file"), (b"", "not a .keras"), (b"PK", "not a .keras")]
)
def test_what_is_no_model(content, message, tmp_path, capsys):
    path = tmp_path / "model.keras"
    if content is not None:
        path.write_bytes(content)
    assert run(path, "--out", tmp_path / "out") == 2
    assert message in " ".join(capsys.readouterr().err.split())
