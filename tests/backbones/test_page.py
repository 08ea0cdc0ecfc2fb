"""The backbone of docs/add_a_backbone.md, as the page has it, builds, answers and is found by its name."""

import re
from pathlib import Path

import keras
import numpy as np

from centernet_tf import backbones

PAGE = Path(__file__).parents[2] / "docs" / "add_a_backbone.md"


def test_the_backbone_of_the_page(monkeypatch):
    monkeypatch.setattr(backbones, "BACKBONES", dict(backbones.BACKBONES))
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    exec(compile(block, str(PAGE), "exec"), {})
    entry = backbones.find_backbone("tiny")
    for inputs in ({"image": 3}, {"image": 3, "previous": 3}):
        images = {name: np.ones((2, 64, 32, channels), "float32") for name, channels in inputs.items()}
        (name, found), *others = entry.build(inputs)(images).items()
        assert name == "stack1" and not others
        assert keras.ops.shape(found) == (2, 16, 8, 32)
