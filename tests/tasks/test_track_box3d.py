"""Tracking with 3D boxes as CenterTrack does it: targets, losses, places in space, and by what objects are followed."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow
from centernet_tf.geometry import affine
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Association, Task
from centernet_tf.points.task_set import TaskSet
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.box3d import Box3d
from centernet_tf.tasks.track import Track

OFFICIAL = {
    "heatmap": "hm",
    "offset": "reg",
    "size": "wh",
    "displacement": "tracking",
    "depth": "dep",
    "rotation": "rot",
    "dimensions": "dim",
    "amodal_offset": "amodel_offset",
}


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def tasks_of(classes=3, count=50, **settings):
    box3d = Box3d(amodal_offset=True, rules="CenterTrack", **settings)
    return build_tasks({"box3d": box3d, "track": Track()}, Centers(classes, count))


def test_decoding_equals_the_original(golden):
    arrays, meta = golden("decode_ct__ddd")
    camera = np.float32(meta["calib"])
    tasks = tasks_of(meta["num_classes"], meta["K"], camera=camera)
    maps = {ours: [arrays[f"raw_{theirs}"]] for ours, theirs in OFFICIAL.items()}
    found = numpy_of(tasks.decode(maps))
    np.testing.assert_allclose(found["scores"], arrays["dets_scores"], atol=1e-5)
    np.testing.assert_array_equal(found["classes"], arrays["dets_clses"])
    back = arrays["trans_output_inverse"]
    moved = {name: affine.move(value[0], back, tasks.motions.get(name, "fixed")) for name, value in found.items()}
    # The original gives z from the plane of the camera's matrix, by this much less than what is learnt.
    learnt, moved["depths"] = moved["depths"], moved["depths"] - camera[2, 3]
    moved = {name: ops.convert_to_tensor(np.asarray(value, np.float32)[None]) for name, value in moved.items()}
    placed = {name: value[0] for name, value in numpy_of(tasks.place(moved, {"camera": camera[None]})).items()}
    kept = found["scores"][0] > meta["out_thresh"]
    assert kept.sum() == arrays["result_count"] > 5
    np.testing.assert_allclose(learnt[kept], arrays["result_dep"][kept, 0], rtol=1e-4, atol=1e-6)
    # What is followed is the object's middle in space, seen in the image; the way back still is the cell's.
    pixels = {"points": "ct", "displacements": "tracking", "boxes": "bbox"}
    for ours, theirs in pixels.items():
        np.testing.assert_allclose(placed[ours][kept], arrays[f"result_{theirs}"][kept], atol=2e-3, err_msg=ours)
    for ours, theirs in {"dimensions": "dim", "locations": "loc"}.items():
        expected = arrays[f"result_{theirs}"][kept]
        np.testing.assert_allclose(placed[ours][kept], expected, rtol=1e-4, atol=2e-4, err_msg=ours)
    for ours, theirs in {"alphas": "alpha", "rotations": "rot_y"}.items():
        expected = np.exp(1j * arrays[f"result_{theirs}"][kept])
        np.testing.assert_allclose(np.exp(1j * placed[ours][kept]), expected, atol=1e-4, err_msg=ours)


def test_losses_and_gradients_equal_the_original(golden, gradients):
    arrays, meta = golden("loss_ct__ddd")
    index, mask = arrays["target_ind"].astype(np.int32), arrays["target_mask"]
    heatmap = {"heatmap": arrays["target_hm"], "index": index, "mask": mask}
    target = {"heatmap": {**heatmap, "classes": arrays["target_cat"].astype(np.int32)}}
    for ours, theirs in OFFICIAL.items():
        if f"target_{theirs}_mask" in arrays and theirs != "rot":
            mask = arrays[f"target_{theirs}_mask"]
            target[ours] = {"index": index, "mask": mask, "value": arrays[f"target_{theirs}"]}
    bins = {"bins": arrays["target_rotbin"].astype(np.float32), "residuals": arrays["target_rotres"]}
    known = arrays["target_rot_mask"][..., None].astype(np.float32)
    target["rotation"] = {"index": index, "mask": known, "rows": np.float32(index.shape[1]), **bins}
    tasks = tasks_of()
    assert {term.name: term.weight for term in tasks.terms} == {a: meta["weights"][b] for a, b in OFFICIAL.items()}
    maps = {ours: [arrays[f"raw_{theirs}"]] for ours, theirs in OFFICIAL.items()}
    found = tasks.losses(maps, target)
    for ours, theirs in OFFICIAL.items():
        assert float(found[ours]) == pytest.approx(float(arrays[f"loss_{theirs}"]), rel=1e-4), ours
    assert float(tasks.total(found)) == pytest.approx(float(arrays["loss_tot"]), rel=1e-4)
    start = {name: values for name, (values,) in maps.items()}
    walked = gradients(lambda outputs: tasks.total(tasks.losses(outputs, target)), start)
    for ours, theirs in OFFICIAL.items():
        expected = arrays[f"grad_{theirs}"]
        limit = 1e-4 * np.abs(expected).max() + 1e-6 * np.abs(start[ours]).max()  # what float32 holds of the maps
        np.testing.assert_allclose(walked[ours], expected, atol=limit, err_msg=ours)


def sample(arrays, meta):
    """Rows of the recorded sample as the pipeline makes them, those of dropped categories left out."""
    kinds = np.array([meta["category_map"][str(kind)] for kind in arrays["ann_category_id"]])
    kept = kinds > -999
    width, flipped = meta["picture_wh"][0], meta["flipped"]
    boxes, middles = arrays["ann_bbox"].astype(float), arrays["ann_amodel_center"].astype(float)
    alphas = arrays["ann_alpha"].astype(float)
    if flipped:
        boxes[:, 0] = width - boxes[:, 0] - 1 - boxes[:, 2]
        middles[:, 0] = width - middles[:, 0] - 1
        alphas = np.where(alphas > 0, np.pi, -np.pi) - alphas
    boxes[:, 2:] += boxes[:, :2]
    matrix = arrays["trans_input"]
    rows = {
        "boxes": np.concatenate([affine.move_points(boxes[:, side : side + 2], matrix) for side in (0, 2)], axis=1),
        "middles": affine.move_points(middles, matrix),
        "alphas": alphas,
        "depths": arrays["ann_depth"],
        "dimensions": arrays["ann_dim"],
    }
    rows = {name: np.nan_to_num(values[kept]).astype(np.float32)[None] for name, values in rows.items()}
    kinds, crowd = kinds[kept], arrays["ann_iscrowd"][kept] > 0
    rows["classes"] = np.where(kinds > 0, kinds - 1, np.where(kinds == 0, -1, -kinds - 1)).astype(np.int32)[None]
    rows |= {"crowd": crowd[None], "ignored": ((kinds <= 0) | crowd)[None], "valid": np.ones((1, len(kinds)), bool)}
    rows |= {"has_box3d": np.isfinite(arrays["ann_depth"][kept])[None]}
    rows |= {"before": np.zeros((1, len(kinds), 2), np.float32), "known": np.zeros((1, len(kinds)), bool)}
    zoom = max(meta["picture_wh"]) / np.float32(meta["scale"][0])
    return {**rows, "zoom": np.array([zoom], np.float32)}


def test_targets_equal_the_original(golden):
    arrays, meta = golden("target_ct__kitti_3d")
    rows = {name: ops.convert_to_tensor(values) for name, values in sample(arrays, meta).items()}
    made = numpy_of(tasks_of().encode(rows, tuple(meta["output_hw"])))
    expected = arrays["out_mask"] > 0
    kept = made["heatmap"]["mask"][0] > 0
    assert kept.sum() == expected.sum() > 3
    np.testing.assert_array_equal(made["rotation"]["index"][0][kept], arrays["out_ind"][expected])
    for ours, theirs in {"depth": "dep", "dimensions": "dim", "amodal_offset": "amodel_offset"}.items():
        value, truth = made[ours]["value"][0][kept], arrays[f"out_{theirs}"][expected]
        mask = np.broadcast_to(made[ours]["mask"][0][kept], value.shape)
        np.testing.assert_array_equal(mask, arrays[f"out_{theirs}_mask"][expected], err_msg=ours)
        np.testing.assert_allclose(value * mask, truth * mask, atol=1e-4, err_msg=ours)
        assert mask.any()
    # Records know all of a 3D box or nothing; one annotation here has an orientation alone.
    whole = arrays["out_dep_mask"][expected][:, 0] >= arrays["out_rot_mask"][expected]
    assert (~whole).sum() == 1
    turned, theirs = made["rotation"], {name: arrays[f"out_rot{name}"][expected][whole] for name in ("bin", "res")}
    mask = turned["mask"][0][kept][whole]
    np.testing.assert_array_equal(mask[:, 0], arrays["out_rot_mask"][expected][whole])
    inside = turned["bins"][0][kept][whole] * mask
    np.testing.assert_array_equal(inside, theirs["bin"])
    np.testing.assert_allclose(turned["residuals"][0][kept][whole] * inside, theirs["res"], atol=1e-4)


@pytest.mark.slow
def test_a_video_is_followed_by_middles_in_space():
    tracked = {"threshold": 0.0, "birth": 0.0}
    tasks = {"box3d": {"amodal_offset": True, "camera": DEFAULT_CAMERA}, "track": tracked}
    size = InputCard(height=64, width=96, stride=32)
    card = ModelCard(tasks=tasks, backbone="tiny", classes=("car",), max_objects=5, input=size)
    made = card.task_set()
    keras.utils.set_random_seed(1)
    detector = Detector(build_network("tiny", made.heads, made.inputs), card)
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3)).astype(np.uint8)
    told = list(follow(detector, [image, image], threshold=0))
    assert [len(one) for one in told] == [5, 5]
    for one in told:
        np.testing.assert_array_equal(one.fields["points"], one.fields["middles"])
        assert set(one.fields) >= {"track_ids", "locations"}


@pytest.mark.parametrize(("anchor", "expected"), [(None, 1.0), ("spots", 7.0)])
def test_what_stands_for_an_object_is_followed(anchor, expected):
    association = Association(list, lambda found, memory: ([], memory), lambda memory: [], follows="points")
    follower = Task("one", (), (), dict, dict, associate=association)
    tasks = TaskSet((follower, Task("two", (), (), dict, dict, anchor=anchor)), dict, dict)
    found = {"points": np.float32([1]), "spots": np.float32([7])}
    assert tasks.place(found, {})["points"] == [expected]
    # Without anyone who follows, nothing changes.
    assert TaskSet(tasks.tasks[1:], dict, dict).place(found, {})["points"] == [1]


def test_two_points_of_an_object_cannot_both_be_followed():
    association = Association(list, lambda found, memory: ([], memory), lambda memory: [], follows="points")
    tasks = [Task(str(number), (), (), dict, dict, anchor="spots") for number in range(2)]
    follower = Task("one", (), (), dict, dict, associate=association)
    with pytest.raises(ValueError, match="Several tasks say which point"):
        TaskSet((follower, *tasks), dict, dict).place({"points": 1, "spots": 2}, {})
