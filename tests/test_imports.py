"""Imports point one way, tasks stay strangers to each other, and TensorFlow stays where records are read."""

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PACKAGE = "centernet_tf"
ROOT = Path(__file__).parents[1] / PACKAGE

# Lowest first: each may import those before it.
ORDER = (
    "version",
    "errors",
    "host",
    "geometry",
    "media",
    "metrics",
    "properties",
    "losses",
    "points",
    "layers",
    "preprocess",
    "backbones",
    "results",
    "outputs",
    "data",
    "datasets",
    "formats",
    "tasks",
    "config",
    "recipes",
    "model",
    "checkpoints",
    "detector",
    "evaluation",
    "evaluate_files",
    "training",
    "predict",
    "shards",
    "exports",
    "api",
    "serving",
    "inspect",
    "benchmark",
    "demo",
    "cli",
    "__init__",
    "__main__",
)

# Records, input pipelines and TensorBoard have no other library, and benchmarks measure against its operators;
# everything else runs on any backend.
TENSORFLOW = {
    "data/clips.py",
    "detector/compiled.py",
    "data/damage.py",
    "data/example.py",
    "data/examine.py",
    "data/overall.py",
    "data/partners.py",
    "data/pipeline.py",
    "data/pixels.py",
    "data/serialize.py",
    "data/scales.py",
    "data/streams.py",
    "data/whole.py",
    "datasets/encoded.py",
    "datasets/shard_files.py",
    "datasets/tfds.py",
    "datasets/writer.py",
    "training/board.py",
    "training/fused_norm.py",
    "training/read_order.py",
    "training/replicas.py",
    "exports/metadata.py",
    "exports/onnx.py",
    "exports/quantize.py",
    "exports/rounding.py",
    "exports/runners.py",
    "exports/savedmodel.py",
    "exports/serving_files.py",
    "exports/tflite.py",
    "exports/clips.py",
    "exports/video.py",
    "media/remote.py",
    "benchmark/decode.py",
    "benchmark/input.py",
    "benchmark/keypoints.py",
    "benchmark/interactions.py",
    "benchmark/masks.py",
    "benchmark/modes.py",
    "benchmark/render.py",
}

FILES = sorted(ROOT.rglob("*.py"))
# What the properties share, beside their table.
COMMON = ("chronicle", "draw", "faults", "fields", "metric", "notebook", "pairs", "property", "rows")


def imported(text: str) -> Iterator[str]:
    """Names of all modules a file imports, wherever the line stands: "a.b" for `import a.b`, `from a import b`.

    Of `from a import b`, whether b is a module or something in one cannot be seen; both read as "a.b".
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


@functools.cache
def imports_of(path: Path) -> tuple[str, ...]:
    """`imported` of a file, which is parsed once for all tests."""
    return tuple(imported(path.read_text()))


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def faults(own: str, names: Iterable[str]) -> list[str]:
    """What points the wrong way in a file of the part `own`."""
    found = []
    for name in names:
        if name.startswith("."):
            found.append(f"{name}: write the whole name, {PACKAGE}...")
        if name.split(".")[0] != PACKAGE:
            continue
        used = name.split(".")[1] if "." in name else "__init__"
        if used not in ORDER:
            found.append(f"{name}: {used!r} has no place in ORDER")
        elif used != own and ORDER.index(used) > ORDER.index(own):
            found.append(f"{name}: {used!r} comes after {own!r}")
    return found


def task_faults(own: str, names: Iterable[str], table: str = "tasks", common: tuple[str, ...] = ()) -> list[str]:
    """Imports of other members of a table."""
    prefix, allowed = f"{PACKAGE}.{table}.", (own, *common)
    return [
        name for name in names if name.startswith(prefix) and name.removeprefix(prefix).split(".")[0] not in allowed
    ]


def test_every_part_has_its_place():
    assert {part(path) for path in FILES} <= set(ORDER)


def test_imports_point_down():
    found = {str(path.relative_to(ROOT)): faults(part(path), imports_of(path)) for path in FILES}
    assert len(found) > 300 and not {name: wrong for name, wrong in found.items() if wrong}


def test_tasks_never_import_each_other():
    for path in (ROOT / "tasks").rglob("*.py"):
        own = path.relative_to(ROOT / "tasks").parts[0].removesuffix(".py")
        if own != "__init__":
            assert not task_faults(own, imports_of(path)), path


def test_properties_never_import_each_other_nor_keras():
    for folder in (path for path in (ROOT / "properties").iterdir() if path.is_dir()):
        for path in folder.rglob("*.py"):
            names = imports_of(path)
            assert not task_faults(folder.name, names, "properties", COMMON), path
            assert not {name.split(".")[0] for name in names} & {"keras", "tensorflow"}, path


def test_only_these_import_tensorflow():
    users = {
        str(path.relative_to(ROOT))
        for path in FILES
        if any(name.split(".")[0] in ("tensorflow", "tensorflow_datasets") for name in imports_of(path))
    }
    assert users == TENSORFLOW


@pytest.mark.parametrize(
    ("own", "text", "wrong"),
    [
        ("losses", "", 0),
        ("losses", "import keras\nfrom numpy import array", 0),
        ("losses", "from centernet_tf.geometry import boxes", 0),
        ("losses", "from centernet_tf import geometry", 0),
        ("losses", "from centernet_tf.training.train import train", 1),
        ("losses", "from centernet_tf import training", 1),
        ("losses", "import centernet_tf.training.train", 1),
        ("losses", "import centernet_tf.training.train as x, centernet_tf.geometry", 1),
        ("losses", "import centernet_tf", 1),
        ("losses", "def f():\n    from centernet_tf.training.train import train", 1),
        ("losses", "def f():\n    if f:\n        import centernet_tf.training.train", 1),
        ("losses", "import importlib\nimportlib.import_module('centernet_tf.training.train')", 1),
        ("losses", "from .geometry import boxes", 1),
        ("losses", "from . import geometry", 1),
        ("losses", "from centernet_tf.helpers import f", 1),
        ("losses", "from centernet_tf.losses import f", 0),
    ],
)
def test_the_check_itself(own, text, wrong):
    assert len(faults(own, imported(text))) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("from centernet_tf.tasks.pose.targets import encode", 0),
        ("from centernet_tf.tasks.detect import detect", 1),
        ("from centernet_tf.tasks import detect", 1),
        ("import centernet_tf.tasks.detect.task", 1),
        ("def f():\n    from centernet_tf.tasks.detect import detect", 1),
    ],
)
def test_the_check_of_tasks_itself(text, wrong):
    assert len(task_faults("pose", imported(text))) == wrong
