"""Every settings file that is shipped loads and builds."""

from pathlib import Path

import pytest

from centernet_tf.backbones import find_backbone
from centernet_tf.config import read_settings
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.training.schedule import build_optimizer

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def test_there_are_some():
    assert CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_loads_and_builds(path, records):
    settings = read_settings(path)
    assert path.stem.partition("_")[0] in settings.task
    stride = find_backbone(settings.backbone).stride
    assert settings.data.size == "auto" or not any(side % stride for side in settings.data.size)
    sections = {name: one.complete(records) for name, one in settings.tasks.items()}
    names = {"class_names": records.classes, **settings.loss.options(dict.fromkeys(records.classes, 1))}
    centers = Centers(len(records.classes), settings.max_objects, settings.class_specific_size, settings.ltrb, **names)
    tasks = build_tasks(sections, centers)
    network = build_network("tiny", tasks.heads, tasks.inputs)  # every backbone takes the same
    assert set(network.output) == {head.name for head in tasks.heads}
    chosen = {name: 40 for name in ("epochs", "batch_size") if getattr(settings.train, name) == "auto"}
    settings = settings.model_copy(update={"train": settings.train.model_copy(update=chosen)})
    build_optimizer(settings, steps_per_epoch=10)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_opens_with_the_command_that_runs_it(path):
    head = path.read_text().partition("\ntask:")[0]
    assert all(line.startswith("# ") for line in head.splitlines())
    assert f"centernet train configs/{path.name} --out runs/" in head


# What CenterTrack's scripts say: missing objects of the prior heatmap, same crop, batch, rate, epochs, size, objects.
TRACKING = {
    "track_mot17": (0.4, True, 32, 1.25e-4, 70, (544, 960), 256),
    "track_mot17_full": (0.4, True, 32, 1.25e-4, 70, (544, 960), 256),
    "track_kitti": (0.2, True, 16, 1.25e-4, 70, (384, 1280), 50),
    "track_nuscenes": (0.4, False, 64, 2.5e-4, 70, (448, 800), 128),
    "track_crowdhuman": (0.4, False, 64, 2.5e-4, 140, (512, 512), 128),
    "track_coco": (0.4, False, 128, 5e-4, 70, (512, 512), 128),
    "track_coco_pose": (0.4, False, 128, 5e-4, 70, (512, 512), 32),
}


@pytest.mark.parametrize("name", TRACKING)
def test_tracking_as_the_original_s_scripts(name):
    (path,) = (path for path in CONFIGS if path.stem == name)
    settings = read_settings(path)
    track, train = settings.tasks["track"], settings.train
    told = (track.missing, track.same_crop, train.batch_size, train.learning_rate, train.epochs)
    assert (*told, settings.data.size, settings.max_objects) == TRACKING[name]
    assert (track.moved, track.doubled, track.reach, settings.backbone) == (0.05, 0.1, 2, "dla34_dcn")
    assert train.drop_epochs == ((90, 120) if train.epochs == 140 else (60,))


@pytest.mark.parametrize("name", ["hoi_hico", "hoi_vcoco", "hoi_hoia"])
def test_interactions_as_the_original_s_scripts(name):
    (path,) = (path for path in CONFIGS if path.stem == name)
    settings = read_settings(path)
    train = settings.train
    assert (train.epochs, train.batch_size, train.learning_rate, train.drop_epochs) == (140, 112, 4.5e-4, (90, 120))
    assert (settings.backbone, settings.max_objects, settings.data.size) == ("dla34_dcn", 128, (512, 512))
    assert (settings.augment.crop_scales, settings.tasks["hoi"].max_pairs) == ((0.7, 1.3), 64)
