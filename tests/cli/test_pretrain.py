import re

import pytest
import typer
from typer.testing import CliRunner

from centernet_tf.cli.pretrain import pretrain
from centernet_tf.config import parse_settings
from centernet_tf.errors import UsageError
from centernet_tf.training.train import train

app = typer.Typer()
app.command()(pretrain)

SMALL = ("--backbone", "tiny", "--count", "16", "--epochs", "1", "--size", "64x64")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("start")
    return out, CliRunner().invoke(app, ["--out", str(out), *SMALL])


def test_a_training_starts_from_what_it_made(run, shapes_train, tmp_path):
    _, result = run
    assert result.exit_code == 0, result.output
    model = re.search(r"--set weights=(\S+)", result.output)[1]
    said = []
    settings = {
        "backbone": "tiny",
        "weights": model,
        "ltrb": True,
        "data": {"train": str(shapes_train.directory), "size": [64, 64]},
        "train": {"epochs": 1, "batch_size": 12},
        "evaluate": {"images": 0},
    }
    train(parse_settings(settings, "here"), tmp_path, said.append)
    loaded, total = map(int, re.search(r"(\d+) of (\d+) weights loaded", said[0]).groups())
    assert loaded == total


def test_again_it_draws_nothing_and_refuses_other_images(run):
    out, _ = run
    result = CliRunner().invoke(app, ["--out", str(out), *SMALL])
    assert result.exit_code == 0 and "16 images, drawn before." in result.output
    result = CliRunner().invoke(app, ["--out", str(out), *SMALL, "--count", "24"])
    assert isinstance(result.exception, UsageError) and "holds 16 images, expected 24" in str(result.exception)


def test_settings_are_checked_before_anything_is_drawn(tmp_path):
    result = CliRunner().invoke(app, ["--out", str(tmp_path / "out"), "--set", "train.epoch=3"])
    assert isinstance(result.exception, UsageError) and "Did you mean 'epochs'" in str(result.exception)
    assert not (tmp_path / "out").exists()
