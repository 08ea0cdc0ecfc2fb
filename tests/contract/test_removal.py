"""What is left of the package works without a task and its property: their folders go, and their table lines."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Property, tasks, and the readers, drawn data sets and commands that are about them; nothing else is touched.
OF_LABELME = ["datasets/labelme.py", "datasets/labelme_shapes.py"]
OF_COCO = ["datasets/hoi_coco.py", "datasets/hoi_plain.py", "datasets/hoi_vcoco.py"]  # read with datasets/coco.py
MEMBERS = {
    "keypoints": (
        ["pose"],
        [
            "datasets/coco.py",
            "datasets/coco_keypoints.py",
            "datasets/drawn/figures.py",
            "datasets/yolo_pose.py",
            *OF_COCO,
            *OF_LABELME,
        ],
    ),
    "boxes3d": (["box3d"], ["datasets/kitti.py", "datasets/kitti_tracking.py", "datasets/drawn/scenes.py"]),
    "tracks": (
        ["track", "reid", "action"],
        [
            "datasets/jde.py",
            "datasets/mot.py",
            "datasets/kitti_tracking.py",
            "datasets/coco.py",
            *OF_COCO,
            "datasets/coco_videos.py",
            "datasets/tubes.py",
            "datasets/drawn/film.py",
            "datasets/drawn/motions.py",
            "cli/track.py",
        ],
    ),
    "masks": (
        ["mask"],
        [
            "datasets/coco.py",
            *OF_COCO,
            *OF_LABELME,
            "datasets/coco_masks.py",
            "datasets/mask_files.py",
            "datasets/mask_folders.py",
            "datasets/drawn/masked_shapes.py",
        ],
    ),
    "interactions": (
        ["hoi"],
        [
            *OF_COCO,
            "datasets/hoi_hico.py",
            "datasets/hoi_json.py",
            "datasets/hoi_pairs.py",
            "datasets/drawn/interactions.py",
        ],
    ),
}
TRAIN = """
backbone: tiny
max_objects: 5
data: {{train: {records}, validation: {records}, size: [64, 64]}}
augment: {{crop: false, jitter_probability: 0, flip: 0}}
train: {{epochs: 1, batch_size: 4, warmup_steps: 0, learning_rate: 1.0e-3}}
evaluate: {{every: 1, images: 1}}
task: {task}
"""


def without(folder: Path, property_name: str) -> Path:
    """A copy of the package without a property, its task, and what reads them."""
    tasks, readers = MEMBERS[property_name]
    package = folder / "centernet_tf"
    shutil.copytree(ROOT / "centernet_tf", package, ignore=shutil.ignore_patterns("__pycache__"))
    for table, member in (("properties", property_name), *(("tasks", task) for task in tasks)):
        own = package / table / member
        shutil.rmtree(own)
        page = package / table / "__init__.py"
        text = page.read_text()
        text = re.sub(rf"^from centernet_tf\.{table}\.{member}\b.*\n", "", text, flags=re.MULTILINE)
        text, entries = re.subn(rf'\n    "{member}": \w+,|(?:, )?"{member}": \w+', "", text)
        assert entries == 1, f"{page}: one line of the table"
        page.write_text(text.replace("{, ", "{"))
    for reader in readers:
        (package / reader).unlink()
    return folder


# Runs commands one after the other in one process, for importing TensorFlow takes longer than most of them.
PROGRAM = f"""
import json, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
import conftest  # knows the backbone of tests
from centernet_tf.cli import main
for arguments in json.loads(sys.argv[1]):
    print("centernet", *arguments, flush=True)
    try:
        main(arguments)
    except SystemExit as end:
        if end.code:
            raise
"""


def run_python(folder: Path, *arguments: str) -> str:
    """The output of a Python that knows the package in a folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize(("gone", "task", "drawn"), [("keypoints", "box3d", ["--3d"]), ("boxes3d", "pose", ["--pose"])])
def test_the_rest_trains_evaluates_detects_and_exports(gone, task, drawn, tmp_path):
    folder, commands = without(tmp_path, gone), []
    for name, options in (("detect", []), (task, drawn)):
        (folder / f"{name}.yaml").write_text(TRAIN.format(records=f"{name}/records", task=name))
        records, run, model = f"{name}/records", f"{name}/run", f"{name}/run/last.keras"
        size = "64x64" if name != "box3d" else "64x96"
        commands += [
            ["records", "shapes", *options, "--count", "8", "--size", size, "--out", records],
            ["inspect", records, "--size", "64x64"],
            ["train", f"{name}.yaml", "--out", run],
            ["evaluate", model, "--data", records, "--json", "scores.json"],
            ["export", model, "--out", f"{name}/served", "--data", records],
        ]
    image = ROOT / "docs" / "detections.jpg"
    commands += [["detect", "detect/run/last.keras", str(image), "--out", "found"]]
    told = run_python(folder, "-c", PROGRAM, json.dumps(commands))
    assert all(f"centernet {' '.join(arguments)}\n" in told for arguments in commands)
    assert (folder / "found" / "detections.json").is_file() and (folder / task / "served" / "1").is_dir()


def _tasks_without(gone: str) -> list[str]:
    return [task for name, (tasks, _) in MEMBERS.items() if name != gone for task in tasks]


@pytest.mark.long
@pytest.mark.parametrize("gone", MEMBERS)
def test_the_program_starts_without_it(gone, tmp_path):
    folder = without(tmp_path, gone)
    code = """
import importlib, pkgutil, centernet_tf
from centernet_tf.properties import PROPERTIES
from centernet_tf.tasks import TASKS
for module in pkgutil.walk_packages(centernet_tf.__path__, "centernet_tf."):
    parts = module.name.split(".")
    if parts[1] not in ("benchmark", "__main__"):
        importlib.import_module(module.name)
print(sorted(PROPERTIES), sorted(TASKS))
"""
    told = run_python(folder, "-c", code)
    names = set(MEMBERS) - {gone}, {"detect", *_tasks_without(gone)}
    assert told.strip() == " ".join(str(sorted(one)) for one in names)
