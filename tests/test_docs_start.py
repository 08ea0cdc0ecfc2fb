"""The first page of the documentation, line by line in an empty folder, as somebody does who reads it."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from centernet_tf.config import read_settings

PAGE = Path(__file__).parents[1] / "docs" / "start.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def calls():
    """What the page runs, in its order, but for the installation."""
    for language, block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            yield [sys.executable, "-c", block]
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line, comments=True)
            assert program == "centernet" or line.startswith("pip install"), line
            if program == "centernet":
                yield [sys.executable, "-m", "centernet_tf", *arguments]


def test_the_page_goes_from_data_to_an_exported_model():
    commands = [call[3] for call in calls() if call[1] == "-m"]
    assert [name for name in commands if name != "--help"] == [
        *("records", "records", "inspect", "train", "evaluate", "detect", "export", "init")
    ]


@pytest.mark.long
def test_every_line_runs_in_an_empty_folder(tmp_path):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    for call in calls():
        done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{call}\n{done.stdout}\n{done.stderr}"
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["summary"]["AP50"] > 0.3  # the page says some 0.4
    found = json.loads((tmp_path / "found/detections.json").read_text())
    assert len(found["images"]) == 4 and any(image["detections"] for image in found["images"])
    assert (tmp_path / "served/shapes/1/saved_model.pb").is_file()
    assert read_settings(tmp_path / "mine.yaml").data.size == (160, 160)
    assert {"samples.png", "curve.png"} <= {path.name for path in tmp_path.iterdir()}
