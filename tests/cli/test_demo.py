"""`centernet demo` from the outside."""

import functools
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from centernet_tf.cli import main
from centernet_tf.cli.demo import titles


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/runs/a/best.keras"], ["a/best"]),
        (["/runs/a/best.keras", "/runs/b/best.keras"], ["a/best", "b/best"]),
        (["/one/a/best.keras", "/two/a/best.keras"], ["one/a/best", "two/a/best"]),
        (["/cells.keras", "/shapes.keras"], ["cells", "shapes"]),
        (["/models/cells.keras", "/models/cells.keras"], ["cells", "cells"]),
        (["/models/cells.keras", "/runs/b/last.keras"], ["models/cells", "b/last"]),
    ],
)
def test_titles(paths, expected):
    assert titles([Path(path) for path in paths]) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.keras"], "nothing.keras: no such model file"),
        (["a.keras", "--examples", "b", "--examples", "c"], "--examples: 2 folders for 1 model. Give one, or one for"),
        (["{model}", "--examples", "nowhere"], "nowhere: no such file or folder."),
        (["{model}", "--host", "no.such.host.invalid"], "no.such.host.invalid:7860: cannot listen there"),
    ],
)
def test_wrong_calls(arguments, message, spot_model, capsys):
    with pytest.raises(SystemExit) as end:
        main(["demo", *(one.format(model=spot_model) for one in arguments)])
    assert end.value.code == 2 and message in capsys.readouterr().err


@pytest.mark.long
def test_from_the_command_to_the_page_and_ctrl_c(spot_model):
    command = [sys.executable, "-m", "centernet_tf", "demo", str(spot_model), str(spot_model), "--port", "0"]
    # Tests that a shell runs in the background are deaf to Ctrl-C, and so would the program be.
    hear = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ, preexec_fn=hear) as program:
        try:
            lines = [program.stdout.readline() for _ in range(3)]
            assert lines[0] == lines[1] == f"spots: {spot_model}\n"
            address = re.fullmatch(r"(http://127\.0\.0\.1:\d+) - Ctrl-C ends it\.\n", lines[2])[1]
            with urllib.request.urlopen(f"{address}/models", timeout=30) as answer:
                assert [one["title"] for one in json.load(answer)["models"]] == ["spots", "spots"]
            program.send_signal(signal.SIGINT)
            assert program.wait(timeout=30) == 0
        finally:
            program.kill()
