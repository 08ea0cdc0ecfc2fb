"""Generic files know no property and no task by name: what one adds stands in its own folder."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "centernet_tf"
# What each property and its task are called in code and texts.
WORDS = {
    "keypoints": r"key_?points?|skeletons?|joints|joint_[a-z_]+|pose|oks|pck",
    "masks": r"masks|segmentations?|polygons?",
    "boxes3d": r"boxes_?3d|box_?3d|3d|solids?|cameras?|kitti|depths|bird",
}
# Folders of their own, and those whose files are about one data set, one checkpoint or one measurement each.
OWN = ("properties/", "tasks/", "datasets/", "checkpoints/", "benchmark/", "geometry/camera.py")
# Generic files that may, and why.
ALLOWED = {
    "keypoints": {
        "cli/records.py": "options of readers that read them: --keypoints, --skeleton",
        "cli/records_interactions.py": "the option --keypoints of readers of COCO's persons",
        "cli/records_made.py": "the option --pose of drawn records",
        "cli/records_tools.py": "the option --skeleton of readers that read them",
        "cli/convert.py": "the option --skeleton of published checkpoints",
    },
    "masks": {
        "cli/records.py": "options of readers that read them: --masks",
        "cli/records_interactions.py": "the option --masks of readers of COCO's JSON",
        "cli/records_made.py": "the option --masks of drawn records",
        "cli/records_masks.py": "the command of the reader that reads them",
        "cli/records_tools.py": "the option --masks of readers that read them",
        "cli/detect.py": "the options --label-images and --mask-images, where people look for them",
    },
    "boxes3d": {
        "cli/records.py": "the command of the reader that reads them",
        "cli/records_made.py": "the option --3d of drawn records",
        "cli/detect.py": "the options --camera and --kitti, where people look for them",
        "serving/load.py": "the option --camera",
        "cli/convert.py": "names of published checkpoints' data in the help of --origin",
        "cli/evaluate.py": "the option --iou names the protocols",
    },
}


def words_of(text: str) -> Iterator[str]:
    """Identifiers and texts of a module, without its docstrings and comments."""
    tree = ast.parse(text)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        for name in ("id", "attr", "arg", "name", "module", "asname"):
            if isinstance(value := getattr(node, name, None), str):
                yield value


@functools.lru_cache(maxsize=1000)
def told(text: str) -> str:
    """The words of a module, one a line, with the parts of CamelCase apart; found once for all properties."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "\n".join(words_of(text)))


def knows(text: str, words: str) -> bool:
    """Whether a module names one of the words, also as a part of an identifier."""
    return bool(re.search(rf"(?<![a-z])(?:{words})(?![a-z])", told(text), re.IGNORECASE))


def generic_files_that_know(root: Path, words: str, own: tuple[str, ...] = OWN) -> set[str]:
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.py")}
    return {name for name, path in files.items() if not name.startswith(own) and knows(path.read_text(), words)}


@pytest.mark.parametrize("member", WORDS)
def test_generic_files_name_no_property(member):
    found = generic_files_that_know(ROOT, WORDS[member])
    assert found <= set(ALLOWED[member]), found - set(ALLOWED[member])
    assert len(ALLOWED[member]) <= 6


@pytest.mark.parametrize("member", WORDS)
def test_the_list_of_exceptions_is_not_longer_than_needed(member):
    assert set(ALLOWED[member]) <= generic_files_that_know(ROOT, WORDS[member])


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("", False),
        ("x = 1", False),
        ('"""Keypoints."""', False),
        ("x = 1  # keypoints", False),
        ("keypoints = 1", True),
        ("found.keypoints", True),
        ("KeypointSurvey()", True),
        ("x['keypoint_scores']", True),
        ("f(skeleton=1)", True),
        ("from centernet_tf.properties import keypoints", True),
        ("disjointed = tokens = 'positive'", False),
    ],
)
def test_the_search_itself(text, known):
    assert knows(text, WORDS["keypoints"]) == known
