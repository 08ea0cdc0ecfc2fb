"""The recipes of Objects as Points: each builds the network that was published, and trains it as that one was.

Figures are those of the original's `experiments/*.sh`, with the defaults of its `src/lib/opts.py` and of its data sets
(`src/lib/datasets/dataset`), and the scores of its `readme/MODEL_ZOO.md`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.backbones import find_backbone
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.origins import ORIGINS
from centernet_tf.config import read_settings
from centernet_tf.data.augment_settings import AugmentSettings
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.points.loss_settings import LossSettings
from centernet_tf.tasks import build_tasks
from centernet_tf.training.schedule import build_schedule

ROOT = Path(__file__).parents[2]
COCO_MEAN, COCO_STD = (0.40789654, 0.44719302, 0.47026115), (0.28863828, 0.27408164, 0.27809835)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BOXES = {"wh": 2, "reg": 2}


@dataclass(frozen=True)
class Data:
    """A data set of the original: the heads learnt on it, its pixels, and the rows that an image has for objects."""

    heads: Mapping[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rows: int


DATA = {
    "coco": Data({"hm": 80, **BOXES}, COCO_MEAN, COCO_STD, 128),
    # 50 to learn, but 100 to find, as everywhere; nothing but these numbers depends on the rows that are empty.
    "pascal": Data({"hm": 20, **BOXES}, IMAGENET_MEAN, IMAGENET_STD, 100),
    "coco_hp": Data({"hm": 1, **BOXES, "hps": 34, "hm_hp": 17, "hp_offset": 2}, COCO_MEAN, COCO_STD, 32),
    "kitti": Data({"hm": 3, **BOXES, "dep": 1, "rot": 8, "dim": 3}, IMAGENET_MEAN, IMAGENET_STD, 50),
}


@dataclass(frozen=True)
class Training:
    """Epochs, those after which the rate falls tenfold, batch size, and rate."""

    epochs: int
    drops: tuple[int, ...]
    batch: int
    rate: float


@dataclass(frozen=True)
class Script:
    """A script of the original: where its recipe is, what it trains, and what came of it."""

    recipe: str
    arch: str
    data: str
    size: tuple[int, int]
    training: Training
    scores: str


ONCE, VOC, KITTI = (140, (90, 120)), Training(70, (45, 60), 32, 1.25e-4), Training(70, (45, 60), 16, 1.25e-4)
MEDIUM, LARGE, WIDE = (384, 384), (512, 512), (384, 1280)
COCO_ROWS = {
    "ctdet_coco_dla_1x": ("dla34_1x", "dla_34", Training(*ONCE, 128, 5e-4), "36.3 38.2 40.7"),
    "ctdet_coco_dla_2x": ("dla34_2x", "dla_34", Training(230, (180, 210), 128, 5e-4), "37.4 39.2 41.7"),
    "ctdet_coco_hg": ("hourglass", "hourglass", Training(50, (40,), 24, 2.5e-4), "40.3 42.2 45.1"),
    "ctdet_coco_resdcn101": ("resnet101_dcn", "resdcn_101", Training(*ONCE, 96, 3.75e-4), "34.6 36.2 39.3"),
    "ctdet_coco_resdcn18": ("resnet18_dcn", "resdcn_18", Training(*ONCE, 114, 5e-4), "28.1 30.0 33.2"),
}
VOC_ROWS = {
    "ctdet_pascal_dla_384": ("dla34_384", "dla_34", MEDIUM, "79.3"),
    "ctdet_pascal_dla_512": ("dla34_512", "dla_34", LARGE, "80.7"),
    "ctdet_pascal_resdcn101_384": ("resnet101_dcn_384", "resdcn_101", MEDIUM, "77.1"),
    "ctdet_pascal_resdcn101_512": ("resnet101_dcn_512", "resdcn_101", LARGE, "78.7"),
    "ctdet_pascal_resdcn18_384": ("resnet18_dcn_384", "resdcn_18", MEDIUM, "72.6"),
    "ctdet_pascal_resdcn18_512": ("resnet18_dcn_512", "resdcn_18", LARGE, "75.7"),
}
POSE_ROWS = {
    "multi_pose_dla_1x": ("dla34_1x", "dla_34", Training(*ONCE, 128, 5e-4), "54.7"),
    "multi_pose_dla_3x": ("dla34_3x", "dla_34", Training(320, (270, 300), 128, 5e-4), "58.9"),
    "multi_pose_hg_1x": ("hourglass_1x", "hourglass", Training(50, (40,), 24, 2.5e-4), "58.7"),
    "multi_pose_hg_3x": ("hourglass_3x", "hourglass", Training(150, (130,), 24, 2.5e-4), "64.0"),
}
KITTI_ROWS = {  # of cars, easy, moderate, hard: AP, AOS, AP in bird's-eye view
    "ddd_3dop": ("box3d_kitti", "96.9 87.8 79.2 93.9 84.3 75.7 34.0 30.5 26.8"),
    "ddd_sub": ("box3d_kitti_subcnn", "89.6 79.8 70.3 85.7 75.2 65.9 34.9 27.7 26.4"),
}
SCRIPTS = {
    **{
        name: Script(f"detect_coco_{end}", arch, "coco", LARGE, training, scores)
        for name, (end, arch, training, scores) in COCO_ROWS.items()
    },
    **{
        name: Script(f"detect_voc_{end}", arch, "pascal", size, VOC, score)
        for name, (end, arch, size, score) in VOC_ROWS.items()
    },
    **{
        name: Script(f"pose_coco_{end}", arch, "coco_hp", LARGE, training, score)
        for name, (end, arch, training, score) in POSE_ROWS.items()
    },
    **{name: Script(recipe, "dla_34", "kitti", WIDE, KITTI, scores) for name, (recipe, scores) in KITTI_ROWS.items()},
}
# What `centernet evaluate` is told for these scores.
OPTIONS = {
    "coco": ("--keep-resolution --round 2", "--flip", "--flip --scales 0.5,0.75,1,1.25,1.5"),
    "pascal": ("--flip",),
    "coco_hp": ("--keep-resolution --flip --round 2",),
    "kitti": ("--round 2",),
}

# Trainable parameters, counted in the official code, two projections that change nothing left out of DLA-34.
DEAD = (64 * 128 + 2 * 128) + (128 * 256 + 2 * 256)
PARAMETERS = {
    ("dla_34", "coco"): 19_675_892 - DEAD,
    ("dla_34", "pascal"): 19_660_472 - DEAD,
    ("dla_34", "coco_hp"): 20_112_346 - DEAD,
    ("dla_34", "kitti"): 20_102_323 - DEAD,
    ("resdcn_18", "coco"): 14_437_349,
    ("resdcn_18", "pascal"): 14_433_449,
    ("resdcn_101", "coco"): 49_673_189,
    ("resdcn_101", "pascal"): 49_669_289,
    ("hourglass", "coco"): 191_284_008,
    ("hourglass", "coco_hp"): 194_811_124,
}
MARKS = {"resdcn_101": [pytest.mark.long], "hourglass": [pytest.mark.long, pytest.mark.release]}
MARKS["coco"] = [pytest.mark.long]  # test_backbones.py counts those, too

every_script = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)


def settings_of(script):
    return read_settings(ROOT / "configs" / f"{script.recipe}.yaml")


def header(script):
    return (ROOT / "configs" / f"{script.recipe}.yaml").read_text(encoding="utf-8").partition("\ntask:")[0]


def name_of(script):
    (name,) = [name for name, one in SCRIPTS.items() if one is script]
    return name


def scores_in(text):
    return re.findall(r"(?<![\d.])\d\d\.\d(?!\.?\d)", text)


def tasks_of(settings, data, records):
    sections = {name: one.complete(records) for name, one in settings.tasks.items()}
    return build_tasks(sections, Centers(data.heads["hm"], settings.max_objects, class_names=("person",)))


@every_script
def test_input(script):
    settings, data = settings_of(script), DATA[script.data]
    pixels = find_backbone(settings.backbone).normalization
    told = settings.data
    assert (told.size, settings.max_objects) == (script.size, data.rows)
    assert (told.mean or pixels.mean, told.std or pixels.std) == (data.mean, data.std)
    assert (told.order or pixels.order, told.fill, told.resample) == ("bgr", None, None)


@every_script
def test_augmentation_and_losses(script):
    """Those of 3D boxes move and scale half of the images, which nothing else changes; all others do as the default."""
    settings = settings_of(script)
    none = dict.fromkeys(("brightness", "contrast", "saturation", "lighting", "flip"), 0)
    moved = AugmentSettings(crop=False, jitter_probability=0.5, shift_each_side=True, **none)
    assert settings.augment == (moved if script.data == "kitti" else AugmentSettings())
    assert (settings.augment.shift, settings.augment.scale) == (0.1, 0.4)
    assert settings.loss == LossSettings()
    assert not (settings.ltrb or settings.class_specific_size or settings.iou_aware)


@every_script
def test_optimisation(script):
    train, told = settings_of(script).train, script.training
    assert (train.epochs, train.batch_size, train.learning_rate) == (told.epochs, told.batch, told.rate)
    assert (train.optimizer, train.schedule, train.precision, train.accumulate) == ("adam", "step", "float32", 1)
    assert (train.warmup_steps, train.clip_norm, train.ema, train.weight_decay) == (0, None, 0, 0)


@every_script
def test_rate_falls_tenfold_after_the_epochs_that_were_published(script):
    schedule, told = build_schedule(settings_of(script), steps_per_epoch=7), script.training
    expected, rate = [(0, told.rate)], told.rate
    for epoch in told.drops:
        expected += [(7 * epoch - 1, rate), (7 * epoch, rate / 10)]
        rate /= 10
    expected += [(7 * told.epochs - 1, rate)]
    for step, value in expected:
        assert float(schedule(step)) == pytest.approx(value, rel=1e-5), step


@every_script
def test_start(script):
    """Trunks of ImageNet, which nobody gives away of the hourglass; keypoints start from a detector."""
    settings = settings_of(script)
    files = {("hourglass", "coco"): "ExtremeNet_500000.pkl", ("hourglass", "coco_hp"): "ctdet_coco_hg.pth"}
    files["dla_34", "coco_hp"] = "ctdet_coco_dla_2x.pth"
    file = files.get((script.arch, script.data))
    assert settings.weights == (None if file else "imagenet")
    assert bool(file) == ("--set weights=" in header(script))
    assert not file or f"--set weights={file}" in header(script)


@every_script
def test_heads(script, records):
    settings, data = settings_of(script), DATA[script.data]
    assert find_backbone(settings.backbone).official == script.arch
    tasks, names = tasks_of(settings, data, records), head_names()
    assert {head.name: head.channels for head in tasks.heads} == {names[name]: n for name, n in data.heads.items()}
    assert settings.head_channels is None
    assert find_backbone(settings.backbone).head_channels == (64 if "res" in script.arch else 256)


@pytest.mark.parametrize(
    ("arch", "data"),
    [
        pytest.param(*pair, marks=[mark for part in pair for mark in MARKS.get(part, [])], id="-".join(pair))
        for pair in PARAMETERS
    ],
)
def test_parameters_are_as_many_as_published(arch, data, records):
    scripts = [script for script in SCRIPTS.values() if (script.arch, script.data) == (arch, data)]
    settings = settings_of(scripts[0])
    tasks = tasks_of(settings, DATA[data], records)
    network = build_network(settings.backbone, tasks.heads, tasks.inputs, settings.head_channels)
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == PARAMETERS[arch, data]
    assert {settings_of(script).backbone for script in scripts} == {settings.backbone}


@every_script
def test_scores_and_their_options_are_told(script):
    """In the file and on the page of all recipes."""
    text = " ".join(line.removeprefix("# ") for line in header(script).splitlines())
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{script.recipe}` |")]
    for told in (text, row):
        assert re.search(rf"\b{name_of(script)}\b", told)
        assert scores_in(told) == script.scores.split()
    assert all(options in text for options in OPTIONS[script.data])


@every_script
def test_the_page_of_checkpoints_tells_the_same(script):
    """And the size that a file does not tell, where it is not that of other files of its data."""
    page = (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name_of(script)}.pth`")]
    assert scores_in(row) == script.scores.split()
    assert f"`{settings_of(script).backbone}`" in row
    height, width = script.size
    usual = ORIGINS[{"coco_hp": "coco_pose"}.get(script.data, script.data)].size
    assert (f"`--size {height}x{width}`" in row) == (script.size != usual)


def test_every_script_but_those_of_extreme_points():
    """Two of the 19 are of the task exdet, which docs/original_options.md says there is not."""
    assert len(SCRIPTS) == len({script.recipe for script in SCRIPTS.values()}) == 17
    told = (ROOT / "docs" / "original_options.md").read_text(encoding="utf-8")
    assert all(name in told for name in ("`exdet`", "`exdet_coco_dla`", "`exdet_coco_hg`"))
