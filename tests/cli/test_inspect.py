import json

import pytest
import typer
from typer.testing import CliRunner

from centernet_tf.cli.inspect import inspect
from centernet_tf.datasets.drawn.shapes import Scene, read
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import UsageError
from centernet_tf.media.images import read_image

app = typer.Typer()
app.command()(inspect)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Train and val of drawn scenes."""
    root = tmp_path_factory.mktemp("records")
    for split in ("train", "val"):
        classes, items, _ = read(6, (64, 64), split=split, scene=Scene(objects=(5, 6)))
        write_records(items, directory=root / split, name="shapes", split=split, classes=classes)
    return root


def call(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_sound_records_exit_with_zero(records):
    result = call(records / "train", "--size", "64x64")
    assert result.exit_code == 0, result.output
    assert "shapes/train" in result.output
    assert "64x64 (6)" in result.output
    assert "triangle" in result.output


def test_errors_exit_with_one_after_the_report(records, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in (records / "train").iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    shard = next(broken.glob("*.tfrecord"))
    shard.write_bytes(shard.read_bytes()[:-50])
    result = call(broken, "--size", "64")
    assert result.exit_code == 1
    assert "Fix the errors before training" in result.output


def test_json_alone_on_standard_output(records):
    result = call(records / "train", records / "val", "--json", "-")
    train, val = json.loads(result.stdout)
    assert (train["images"], val["split"]) == (6, "val")
    assert train["sound"]


def test_files_for_one_and_for_two_sets(records, tmp_path):
    result = call(records / "train", "--sheet", tmp_path / "one.png", "--json", tmp_path / "new" / "one.json")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "new" / "one.json").read_text())["name"] == "shapes"
    one = read_image(tmp_path / "one.png")
    assert call(records / "train", records / "val", "--sheet", tmp_path / "two.png").exit_code == 0
    assert read_image(tmp_path / "two.png").shape[0] > 1.5 * one.shape[0]


def test_many_classes_are_all_listed(tmp_path):
    _, items, _ = read(3, (64, 64))
    names = [f"class{number}" for number in range(40)]
    write_records(items, directory=tmp_path, name="many", split="train", classes=names)
    result = call(tmp_path, "--no-decode")
    assert result.exit_code == 0, result.output
    assert all(f"{name} " in result.output for name in names)


@pytest.mark.parametrize("arguments", [("nowhere",), ("nowhere", "--size", "big")])
def test_wrong_calls(arguments):
    assert isinstance(call(*arguments).exception, UsageError)
