"""Checkpoints of CenterTrack: further stems, heads by our names, thresholds, and the official network's answers."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.checkpoints.convert import convert_tensors
from centernet_tf.checkpoints.heads import head_names
from centernet_tf.checkpoints.origins import ORIGINS, origin_of
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.errors import UsageError
from centernet_tf.model.file import load_model, save_model

ARCH = "ct_dla_34_mot"


@pytest.fixture(scope="module")
def official(golden):
    return golden(ARCH)


@pytest.fixture(scope="module")
def converted(official):
    return convert_tensors(StateDict(official[1]), "mot17_half.pth", size=(96, 160))


def test_equals_the_official_network(official, converted, golden_inputs):
    meta, _, maps = official
    given = golden_inputs(meta)
    checked = 0
    for run in ("full", "first_frame"):
        seen = {"image": meta["image"], "previous": given[meta["runs"][run]["pre_img"]]}
        found = converted.network({**seen, "prior": given[meta["runs"][run]["pre_hm"]]}, training=False)
        for (name, head), expected in maps.items():
            if name == run:
                difference = np.abs(ops.convert_to_numpy(found[head_names()[head]][0]) - expected).max()
                assert difference < 1e-3 * np.abs(expected).max(), f"{run} {head}"
                checked += 1
    assert checked == 10


# What each run of the archives saw, and the stems of a file that has seen no more.
RUNS = {"full": (), "first_frame": (), "without_hm": ("pre_hm_layer",), "image_only": ("pre_hm_layer", "pre_img_layer")}


FEWER = [pytest.param(one, marks=pytest.mark.long) for one in (RUNS["without_hm"], RUNS["image_only"])]


@pytest.mark.slow
@pytest.mark.parametrize("without", [(), *FEWER], ids=str)
def test_mobilenet_equals_the_official_network(without, golden, golden_inputs):
    meta, tensors, maps = golden("ct_mobilenet")
    given = golden_inputs(meta)
    kept = {name: value for name, value in tensors.items() if not any(stem in name for stem in without)}
    options = {"task": "detect"} if len(without) == 2 else {}
    converted = convert_tensors(StateDict(kept), "mobilenet.pth", arch="mobilenet", **options)
    assert (converted.card.backbone, converted.card.head_channels) == ("mobilenetv2_dla", 64)
    names, checked = {"image": "image", "pre_img": "previous", "pre_hm": "prior"}, 0
    for run in (run for run, left in RUNS.items() if left == without):
        seen = {names[stem]: given[key] for stem, key in meta["runs"][run].items()}
        found = converted.network(seen if len(seen) > 1 else seen["image"], training=False)
        for (name, head), expected in maps.items():
            if name == run:
                difference = np.abs(ops.convert_to_numpy(found[head_names()[head]][0]) - expected).max()
                assert difference < 1e-3 * np.abs(expected).max(), f"{run} {head}"
                checked += 1
    assert checked == 5 * (1 if without else 2)


def test_the_model_says_what_it_is(official, converted):
    card = converted.card
    assert list(card.tasks) == ["track"] and card.classes == ("person",) and card.backbone == "dla34_dcn"
    told = {name: card.tasks["track"][name] for name in ("prior", "amodal_box", "threshold", "prior_threshold")}
    assert told == {"prior": True, "amodal_box": True, "threshold": 0.4, "prior_threshold": 0.5}
    assert (card.input.height, card.input.width) == (96, 160)
    assert "input as for MOT17" in converted.report[1]
    assert sorted(card.task_set().inputs) == ["image", "previous", "prior"]


@pytest.mark.long
def test_is_saved_and_read_back(converted, tmp_path):
    path = tmp_path / "mot.keras"
    save_model(path, converted.network, converted.card)
    network, card = load_model(path)
    assert card == converted.card and sorted(one.name for one in network.inputs) == ["image", "previous", "prior"]


def test_thresholds_that_are_given_stay(official):
    settings = {"threshold": 0.2, "max_age": 32}
    card = convert_tensors(StateDict(official[1]), "a.pth", settings=settings, origin="crowdhuman").card
    task = card.tasks["track"]
    assert (task["threshold"], task["max_age"], task["prior_threshold"]) == (0.2, 32, 0.5)
    assert (card.input.height, card.input.width) == (512, 512)


def test_without_a_stem_for_the_prior(official):
    tensors = {name: value for name, value in official[1].items() if "pre_hm_layer" not in name}
    found = convert_tensors(StateDict(tensors), "a.pth")
    assert sorted(found.card.task_set().inputs) == ["image", "previous"]
    assert any("no stem for a prior heatmap" in line for line in found.report)


def test_without_a_stem_for_the_frame_before(official):
    tensors = {name: value for name, value in official[1].items() if "pre_img_layer" not in name}
    with pytest.raises(UsageError, match=r"missing: base\.pre_img_layer"):
        convert_tensors(StateDict(tensors), "a.pth")


def test_boxes_alone_leave_the_stems_out(official):
    meta, tensors, maps = official
    found = convert_tensors(StateDict(tensors), "a.pth", task="detect")
    assert [one.name for one in found.network.inputs] == ["image"]
    assert any("stem of the input 'previous'" in line for line in found.report)
    heatmap = ops.convert_to_numpy(found.network(meta["image"], training=False)["heatmap"][0])
    expected = maps["image_only", "hm"]
    assert np.abs(heatmap - expected).max() < 1e-3 * np.abs(expected).max()


# Channels of CenterTrack's heads beside those of boxes, as its files have them.
IN_SPACE = {"dep": 1, "rot": 8, "dim": 3, "amodel_offset": 2}
OF_KEYPOINTS = {"hps": 34, "hm_hp": 17, "hp_offset": 2}
UNREAD = {"velocity": 3, "nuscenes_att": 8}


def with_heads(golden_state, heads):
    return golden_state(ARCH, {"hm": 10, "reg": 2, "wh": 2, "tracking": 2, **heads}, 256)


@pytest.fixture(scope="module")
def in_space(official_state):
    return convert_tensors(StateDict(with_heads(official_state, {**IN_SPACE, **UNREAD})), "nuScenes_3Dtracking.pth")


def test_tracking_in_space(in_space):
    card = in_space.card
    assert list(card.tasks) == ["box3d", "track"] and card.classes[:2] == ("car", "truck")
    assert (card.input.height, card.input.width, card.input.mean[0]) == (448, 800, 0.40789654)
    space, track = card.tasks["box3d"], card.tasks["track"]
    told = {name: space[name] for name in ("size", "amodal_offset", "rules", "shifted_sizes")}
    assert told == {"size": True, "amodal_offset": True, "rules": "CenterTrack", "shifted_sizes": False}
    assert space["camera"][0] == [1200, 0, 800, 0] and (track["threshold"], track["birth"]) == (0.1, 0.3)
    assert {"displacement", "depth", "rotation", "dimensions", "amodal_offset"} < set(in_space.network.output)
    # CenterTrack shows the longer side of an image, and moves boxes by their corners.
    assert card.task_set().window == "longer side" and not card.task_set().shifted_sizes
    assert card.task_set().associate.follows == "points"


def test_heads_that_nothing_reads_are_told(in_space):
    left = [line for line in in_space.report if "which no task here has" in line]
    assert [line.split(",")[1].split("'")[1] for line in left] == ["nuscenes_att", "velocity"]
    assert all(line.startswith("4 left out") for line in left)


def test_tracking_of_keypoints(official_state):
    heads = {"hm": 1, **OF_KEYPOINTS}
    found = convert_tensors(StateDict(with_heads(official_state, heads)), "coco_pose_tracking.pth")
    assert list(found.card.tasks) == ["pose", "track"] and found.card.classes == ("person",)
    pose = found.card.tasks["pose"]
    assert (pose["peak_threshold"], pose["peak_reach"], len(pose["skeleton"]["keypoints"])) == (0.2, None, 17)
    assert any("peak_threshold 0.2, as COCO" in line for line in found.report)


def test_each_task_gets_its_settings(official_state):
    tensors = with_heads(official_state, {"hm": 1, **OF_KEYPOINTS})
    settings = {"peak_threshold": 0.1, "max_age": 3}
    own = convert_tensors(StateDict(tensors), "a.pth", settings=settings).card.tasks
    assert own["pose"]["peak_threshold"] == 0.1 and own["track"]["max_age"] == 3
    with pytest.raises(UsageError, match="unknown setting"):
        convert_tensors(StateDict(tensors), "a.pth", settings={"max_agee": 3})


@pytest.mark.long
def test_one_of_its_tasks_alone(official_state):
    tensors = with_heads(official_state, {"hm": 1, **OF_KEYPOINTS})
    for task, others in (("track", {"keypoints"}), ("pose", {"displacement"})):
        found = convert_tensors(StateDict(tensors), "a.pth", task=task)
        assert list(found.card.tasks) == [task] and others <= set(found.network.output)


def test_halves_of_kitti(official_state):
    found = convert_tensors(StateDict(with_heads(official_state, {"hm": 3})), "kitti_half.pth").card
    assert list(found.tasks) == ["track"] and found.classes == ("Pedestrian", "Car", "Cyclist")
    assert (found.input.height, found.input.width, found.tasks["track"]["threshold"]) == (384, 1280, 0.4)


@pytest.mark.parametrize(
    ("tasks", "classes", "key"),
    [
        (["detect"], 80, "coco"),
        (["detect"], 7, "coco"),
        (["pose"], 1, "coco_pose"),
        (["box3d"], 3, "kitti"),
        (["box3d"], 10, "nuscenes_tracking"),
        (["track"], 10, "nuscenes_tracking"),
        (["track"], 5, "mot17"),
        (["pose", "track"], 1, "coco_pose_tracking"),
        (["own"], 80, "coco"),
    ],
)
def test_origins(tasks, classes, key):
    assert origin_of(tasks, classes) is ORIGINS[key]
