"""The front door: help without loading TensorFlow, exit codes, and messages that say what to do."""

import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tensorflow as tf
from typer.main import get_command

from centernet_tf import cli
from centernet_tf.cli import COMMANDS, REMEDIES, main
from centernet_tf.config import Settings
from centernet_tf.errors import DataError
from centernet_tf.version import VERSION

CONFIG = "data: {{train: {train}}}\n"


def run(*arguments: str) -> int:
    """Exit code of the program."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_the_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"centernet_tf {VERSION}\n"


def test_a_backend_of_notebooks_alone_is_not_asked_for(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    run("--version")
    assert os.environ["MPLBACKEND"] == "agg"


HELPS = """
import sys
from typer.main import get_command
from centernet_tf import cli

def asked(*arguments):
    try:
        cli.main([*arguments, "--help"])
    except SystemExit as ended:
        print("COMMAND", *arguments, ended.code)
    loaded = {"tensorflow", "keras", "jax", "torch", "scipy"} & set(sys.modules)
    assert not loaded, f"{arguments} --help loads {loaded}"

asked()
for name in cli.COMMANDS:
    asked(name)
    group = get_command(cli.build_app(name)).commands[name]
    for part in getattr(group, "commands", ()):
        asked(name, part)
"""


def test_no_help_loads_what_takes_long():
    shown = subprocess.run([sys.executable, "-c", HELPS], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    helped = [line.split()[1:] for line in shown.stdout.splitlines() if line.startswith("COMMAND")]
    assert all(line[-1] == "0" for line in helped)
    assert {line[0] for line in helped} >= set(COMMANDS)
    assert ["records", "coco", "0"] in helped and len(helped) > 13


def test_a_mistyped_option_loads_nothing():
    code = "import sys; from centernet_tf.cli import main\ntry: main(['train', '--ouy'])\n"
    code += "finally: print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (shown.returncode, shown.stdout) == (2, "False False\n")


def test_help_names_every_command(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    assert f"centernet {command}" in text
    assert text.count("\n") > 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tran"], "Did you mean 'train'"),
        (["train", "missing.yaml", "--out", "run"], "missing.yaml: no such file, and no recipe of that name."),
        (
            ["train", "c.yaml", "--out", "run", "--set", "train.epoch=1"],
            "unknown setting 'epoch'. Did you mean 'epochs'?",
        ),
        (["train", "c.yaml", "--out", "run", "--set", "train.batch_size=many"], "train: batch_size is 'many'"),
        (["train", "c.yaml", "--out", "run", "--set", "train.batch_size"], "expected name=value"),
        (
            ["train", "c.yaml", "--out", "run", "--set", "backbone=resnet19"],
            "Unknown backbone 'resnet19'. Did you mean",
        ),
        (["train", "c.yaml", "--out", "run", "--set", "task=detekt"], "Unknown task 'detekt'. Did you mean 'detect'?"),
        (["train", "c.yaml", "--out", "run", "--set", "data.size=[60,64]"], "multiples of 32"),
        (["train", "c.yaml", "--out", "run", "--set", "train.batch_size=500"], "do not fill one batch of 500"),
        (["train", "c.yaml", "--out", "run", "--set", "weights=no.keras"], "no.keras: no such model file"),
        (["train", "c.yaml", "--out", "run", "--set", "data.train=nowhere"], "nowhere: no such directory of records"),
        (["evaluate", "no.keras", "--data", "nowhere"], "no.keras: no such model file. Train one with"),
        (["evaluate", "c.yaml", "--data", "nowhere"], "c.yaml: not a .keras file"),
        (["detect", "no.keras", "nothing.jpg", "--out", "found"], "nothing.jpg"),
        (["inspect", "nowhere"], "nowhere"),
        (["records", "voc", "nowhere", "--out", "records"], "nowhere"),
    ],
)
def test_wrong_calls_end_with_two(arguments, message, capsys, tmp_path, monkeypatch, shapes_train):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(
        f"data: {{train: {shapes_train.directory}, size: [64, 64]}}\ntrain: {{batch_size: 4}}\n"
    )
    assert run(*arguments) == 2
    shown = capsys.readouterr().err
    assert message in " ".join(shown.split())
    assert "Traceback" not in shown


def test_damaged_records_end_with_one(capsys, tmp_path, shapes_train):
    copy = tmp_path / "records"
    copy.mkdir()
    for path in (*shapes_train.shards, shapes_train.directory / "dataset.yaml"):
        (copy / path.name).write_bytes(path.read_bytes())
    shard = copy / shapes_train.shards[0].name
    shard.write_bytes(shard.read_bytes()[:-100])
    (tmp_path / "c.yaml").write_text(f"data: {{train: {copy}, size: [64, 64]}}\ntrain: {{batch_size: 4}}\n")
    assert run("train", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "run")) == 1
    assert "cut off in record" in " ".join(capsys.readouterr().err.split())


def test_a_fault_of_the_program_ends_with_one_and_shows_its_trace(capsys, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("made for this test")

    monkeypatch.setattr(cli, "build_app", broken)
    assert run("train") == 1
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "internal error" in shown


class OutOfMemoryError(RuntimeError):
    """As PyTorch has it."""


@pytest.mark.parametrize(
    "error",
    [
        lambda: MemoryError(),
        lambda: np.empty(1 << 52),
        lambda: tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8,512,512]"),
        lambda: tf.errors.InternalError(None, None, "Failed to allocate request for 4.0GiB on device ordinal 0"),
        lambda: cv2.error("OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
        lambda: OutOfMemoryError("CUDA out of memory"),
        lambda: RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes."),
        lambda: RuntimeError("std::bad_alloc"),
        lambda: OSError(12, "Cannot allocate memory"),
    ],
)
@pytest.mark.parametrize(
    ("command", "remedy"),
    [("train", "--set train.batch_size=4"), ("detect", "--batch-size"), ("convert", "more memory")],
)
def test_out_of_memory_is_a_sentence_with_its_remedy(error, command, remedy, capsys, monkeypatch):
    def starved(*arguments):
        raise error()

    monkeypatch.setattr(cli, "build_app", starved)
    assert run(command) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("centernet: out of memory (") and remedy in shown
    assert "Traceback" not in shown and shown.count("\n") == 1


@pytest.mark.parametrize("command", REMEDIES)
def test_remedies_name_what_there_is(command):
    """Options of the command, or of one of its parts, and settings."""
    found = get_command(cli.build_app(command)).commands[command]
    parts = getattr(found, "commands", {"": found}).values()
    known = {option for part in parts for one in part.params for option in (*one.opts, *one.secondary_opts)}
    assert {*re.findall(r"--[a-z-]+", REMEDIES[command])} <= known
    for section, name in re.findall(r"\b([a-z]+)\.([a-z_]+)", REMEDIES[command]):
        assert name in Settings.model_fields[section].annotation.model_fields


def test_errors_about_markup_and_other_bytes_are_shown_as_they_are(capsys, monkeypatch):
    def broken(*arguments):
        raise DataError("car[/old] in [red]a\udcff.jpg[/red] :car: \x1b[2J")

    monkeypatch.setattr(cli, "build_app", broken)
    assert run("detect") == 1
    assert capsys.readouterr().err == "centernet: car[/old] in [red]a\\udcff.jpg[/red] :car: \\x1b[2J\n"
