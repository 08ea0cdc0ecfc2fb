"""Every settings file that is shipped loads and builds."""

from pathlib import Path

import pytest

from centernet_tf.backbones import find_backbone
from centernet_tf.centers import Centers
from centernet_tf.config import read_settings
from centernet_tf.network import build_network
from centernet_tf.skeleton import COCO_PERSON
from centernet_tf.tasks import build_tasks
from centernet_tf.training.schedule import build_optimizer

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_there_are_some():
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_loads_and_builds(path):
    settings = read_settings(path)
    assert path.stem.partition("_")[0] in settings.task
    stride = find_backbone(settings.backbone).stride
    assert not any(side % stride for side in settings.data.size)
    options = {**settings.loss.model_dump(), "skeleton": COCO_PERSON}
    centers = Centers(3, settings.max_objects, settings.class_specific_size, **options)
    tasks = build_tasks(settings.task, centers)
    network = build_network(settings.backbone, tasks.heads, tasks.inputs)
    assert set(network.output) == {head.name for head in tasks.heads}
    build_optimizer(settings, steps_per_epoch=10)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_opens_with_the_command_that_runs_it(path):
    head = path.read_text().partition("\ntask:")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert f"centernet train configs/{path.name} --out runs/" in head
