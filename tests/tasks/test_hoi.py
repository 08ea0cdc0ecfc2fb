"""Targets and losses of interactions equal the golden values; no pairs and no objects first."""

import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess
from centernet_tf.checkpoints.origins import ORIGINS
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.hoi import Hoi

VERBS = tuple(f"verb{number}" for number in range(117))


def built(classes=3, verbs=4, max_objects=8, **settings):
    hoi = Hoi(verbs=VERBS[:verbs], **settings)
    return build_tasks({"hoi": hoi}, Centers(classes, max_objects=max_objects))


def rows_of(boxes, classes, pairs, verbs, count=8):
    """Padded rows of one image; boxes in pixels of the input."""
    objects, most = len(boxes), max(count, len(pairs))
    made = {
        "boxes": np.zeros((count, 4), np.float32),
        "classes": np.full(count, -1, np.int32),
        "crowd": np.zeros(count, bool),
        "ignored": np.zeros(count, bool),
        "valid": np.arange(count) < objects,
        "pairs": np.full((most, 2), -1, np.int32),
        "verbs": np.full(most, -1, np.int32),
    }
    made["boxes"][:objects], made["classes"][:objects] = np.reshape(boxes, (-1, 4)), classes
    made["pairs"][: len(pairs)], made["verbs"][: len(pairs)] = np.reshape(pairs, (-1, 2)), verbs
    return {name: value[None] for name, value in made.items()}


def encode(tasks, rows, grid=(16, 16)):
    made = tasks.encode({name: ops.convert_to_tensor(value) for name, value in rows.items()}, grid)
    return {name: {key: ops.convert_to_numpy(value) for key, value in one.items()} for name, one in made.items()}


def moved(box, c, s, flipped, width, grid):
    """Corners of a box in cells of the grid, as CenterNet's affine map moves them."""
    box = np.array(box[:4], np.float64)
    if flipped:
        box[[0, 2]] = width - box[[2, 0]] - 1
    return grid / 2 + grid / s * (box.reshape(2, 2) - np.array(c)).ravel()[[0, 1, 2, 3]]


@pytest.mark.parametrize("head", ["offsets", "vector"])
@pytest.mark.parametrize("objects", [0, 2])
@pytest.mark.slow
def test_without_pairs_nothing_is_learnt(head, objects):
    boxes = np.float32([[4, 4, 20, 30], [30, 30, 50, 60]])[:objects]
    made = encode(built(head=head), rows_of(boxes, [0] * objects, [], []))
    assert not made["verb"]["heatmap"].any()
    assert all(not one["mask"].any() for name, one in made.items() if name in ("subject_offset", "vector"))


@pytest.mark.parametrize("sample", [0, 1])
def test_targets_equal_ppdm_s(sample, points_golden):
    arrays, meta = points_golden("ppdm-targets")
    told, width, grid = meta["samples"][sample], meta["image_hw"][1], 64
    ids = [[int(str(one["category_id"])) for one in told[name]] for name in ("annotations", "hoi_annotation")]
    boxes = np.array(
        [moved(one["bbox"], told["c"], told["s"], told["flipped"], width, grid) for one in told["annotations"]]
    )
    if told["integer_boxes"]:
        boxes = np.trunc(boxes)  # in the original, which keeps the type of the annotation
    # There, a negative number counts from the end.
    pairs = [[one["subject_id"], one["object_id"] % len(boxes)] for one in told["hoi_annotation"]]
    rows = rows_of(boxes * STRIDE, [meta["object_ids"].index(one) for one in ids[0]], pairs, np.array(ids[1]) - 1, 128)
    made = encode(built(80, 117, 128), rows, (grid, grid))
    got = {name: arrays[f"{sample}/{name}"] for name in ("hm", "hm_rel", "wh", "reg", "ind", "reg_mask")}
    for ours, theirs in (("heatmap", "hm"), ("verb", "hm_rel")):
        np.testing.assert_allclose(made[ours]["heatmap"][0], got[theirs].transpose(1, 2, 0), atol=1e-4)
    for ours, theirs in (("size", "wh"), ("offset", "reg")):
        known = got["reg_mask"] > 0
        np.testing.assert_array_equal(made[ours]["mask"][0, :, 0] > 0, known)
        np.testing.assert_array_equal(made[ours]["index"][0][known], got["ind"][known])
        np.testing.assert_allclose(made[ours]["value"][0][known], got[theirs][known], atol=1e-4)
    for ours, theirs in (("subject_offset", "sub_offset"), ("object_offset", "obj_offset")):
        known = arrays[f"{sample}/offset_mask"] > 0
        assert known.sum() == len(pairs)
        np.testing.assert_array_equal(made[ours]["mask"][0, :, 0] > 0, known)
        np.testing.assert_array_equal(made[ours]["index"][0][known], arrays[f"{sample}/rel_ind"][known])
        np.testing.assert_array_equal(made[ours]["value"][0][known], arrays[f"{sample}/{theirs}"][known])


@pytest.mark.parametrize("sample", [0, 1])
def test_targets_equal_ip_net_s(sample, points_golden):
    arrays, meta = points_golden("ipnet-targets")
    told, (_, width), grid = meta["samples"][sample], meta["image_hw"], 32
    boxes, classes, pairs, verbs = [], [], [], []
    for one in told["annotations"]:
        corners = lambda box: [*box[:2], box[0] + box[2], box[1] + box[3]]  # noqa: E731
        subject = len(boxes)
        boxes.append(corners(one["bbox"]))
        classes.append(0 if one["category_id"] == 1 else 1)
        if one["category_id"] != 1:
            continue
        pairs += [[subject, -1]] * len(one["bbox"][4:])
        verbs += one["bbox"][4:]
        for other in one["obj_bbox"]:
            pairs += [[subject, len(boxes)]] * len(other[4:])
            verbs += other[4:]
            boxes.append(corners(other))
            classes.append(2)
    boxes = [moved(box, told["c"], told["s"], told["flipped"], width, grid) for box in boxes]
    alone = [VERBS[verb] for verb in (3, 17, 22, 27)]
    rows = rows_of(np.array(boxes) * STRIDE, classes, pairs, verbs, 32)
    made = encode(built(3, 29, 32, head="vector", alone=alone), rows, (grid, grid))
    heatmap = arrays[f"{sample}/hm_act"].transpose(1, 2, 0)
    np.testing.assert_allclose(made["verb"]["heatmap"][0], heatmap, atol=1e-4)
    known, ours = arrays[f"{sample}/reg_act_mask"] > 0, made["vector"]["mask"][0, :, 0] > 0
    assert known.sum() == ours.sum() > 2
    found = np.column_stack([made["vector"]["index"][0], made["vector"]["value"][0]])[ours]
    expected = np.column_stack([arrays[f"{sample}/ind_act"], arrays[f"{sample}/wh_act"]])[known]
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-4)


def test_pixels_equal_ip_net_s(points_golden):
    """Red, green, blue minus the mean of blue, green, red."""
    arrays, meta = points_golden("ipnet-targets")
    told = meta["samples"][0]
    image, (center, side) = arrays["0/image_bgr"][..., ::-1], (np.array(told["c"]), told["s"])
    scale = 128 / side
    fit = np.float32([[scale, scale, *(64 - scale * center)]])
    origin = ORIGINS["vcoco_points"]
    seen = preprocess.warp(ops.convert_to_tensor(image[None].astype(np.float32)), fit, (128, 128)) / 255.0
    seen = preprocess.normalize(seen, preprocess.Normalization(origin.mean, origin.std, origin.order))
    apart = np.abs(ops.convert_to_numpy(seen)[0] - arrays["0/input"].transpose(1, 2, 0)) * np.array(origin.std) * 255
    assert apart.max() < 1.5


def test_verbs_without_objects_are_at_their_subject():
    boxes = np.float32([[4, 4, 20, 28], [30, 30, 60, 60]])
    rows = rows_of(boxes, [0, 1], [[0, -1], [0, 1], [0, -1]], [1, 0, 2])
    made = encode(built(alone=[VERBS[1]]), rows)
    cell = 4 * 16 + 3
    assert made["subject_offset"]["index"][0, :3].tolist() == [cell, 7 * 16 + 7, cell]
    assert made["verb"]["heatmap"][0, 4, 3].tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(made["verb"]["heatmap"][0, ..., 1], made["heatmap"]["heatmap"][0, ..., 0])
    np.testing.assert_array_equal(made["subject_offset"]["mask"][0, :4, 0], [1, 1, 1, 0])
    # Of a verb that never has an object, nothing tells where it is; another one points at the subject itself.
    np.testing.assert_array_equal(made["object_offset"]["mask"][0, :4, 0], [0, 1, 1, 0])
    np.testing.assert_array_equal(made["object_offset"]["value"][0, [1, 2]], [[-4, -4], [0, 0]])
    vector = encode(built(alone=[VERBS[1]], head="vector"), rows)
    assert vector["verb"]["heatmap"][0, 4, 3, 1:].tolist() == [1, 0, 0]
    np.testing.assert_array_equal(vector["vector"]["mask"][0, :4, 0], [0, 1, 0, 0])


def test_what_cannot_be_learnt_is_left_out():
    boxes = np.float32([[4, 4, 20, 28], [30, 30, 60, 60], [-90, 10, -50, 30]])
    rows = rows_of(boxes, [0, 1, 1], [[0, 1], [0, 2], [0, 5], [1, 0], [-1, 1]], [0, 1, 2, -1, 0])
    assert encode(built(), rows)["subject_offset"]["mask"][0, :5, 0].tolist() == [1, 1, 0, 0, 0]
    assert encode(built(max_pairs=1), rows)["subject_offset"]["mask"].sum() == 1
    # An object beyond the edge ends pairs of one head, as in its original, and none of the other.
    assert encode(built(head="vector"), rows)["vector"]["mask"][0, :5, 0].tolist() == [1, 0, 0, 0, 0]
    turned = encode(built(), {**rows, "rotated": np.array([True])})
    assert not turned["subject_offset"]["mask"].any()
    assert (turned["verb"]["heatmap"] == np.float32(0.9999)).all()


NAMES = {
    "ppdm": {
        "heatmap": "hm",
        "verb": "hm_rel",
        "size": "wh",
        "offset": "reg",
        "subject_offset": "sub_offset",
        "object_offset": "obj_offset",
    },
    "ipnet": {"verb": "hm_act", "vector": "wh_act"},
}
HEADS = {("ipnet", "verb"): "hm_act_f"}
PLACES = {"reg": ("ind", "reg_mask"), "wh": ("ind", "reg_mask"), "wh_act": ("ind_act", "reg_act_mask")}


@pytest.mark.parametrize("original", NAMES)
def test_losses_and_gradients_equal_golden(original, points_golden, gradients):
    arrays, meta = points_golden(f"{original}-loss")
    names = NAMES[original]
    tasks = built(
        5, arrays[f"target/{names['verb']}"].shape[1], 10, head="vector" if original == "ipnet" else "offsets"
    )
    terms = {term.name: term for term in tasks.terms if term.name in names}
    targets = {}
    for ours, theirs in names.items():
        value = arrays[f"target/{theirs}"].astype(np.float32)
        if ours in ("heatmap", "verb"):
            targets[ours] = {"heatmap": value.transpose(0, 2, 3, 1)}
        else:
            index, mask = (arrays[f"target/{one}"] for one in PLACES.get(theirs, ("rel_ind", "offset_mask")))
            mask = mask.astype(np.float32)[..., None]
            targets[ours] = {"index": index.astype(np.int32), "mask": mask, "value": value}

    def head(ours):
        return HEADS.get((original, ours), names[ours])

    start = {
        f"{ours}{stack}": arrays[f"raw/{stack}/{head(ours)}"].transpose(0, 2, 3, 1)
        for ours in names
        for stack in (0, 1)
    }

    def total(maps):
        outputs = {ours: [maps[f"{ours}{stack}"][0] for stack in (0, 1)] for ours in names}
        each = {}
        for name, term in terms.items():
            value = sum(term.function(one, targets[name]) for one in outputs[name])
            each[name] = value if term.summed else value / 2
        return sum(term.weight * each[name] for name, term in terms.items()), each

    _, each = total({name: [ops.convert_to_tensor(value)] for name, value in start.items()})
    expected = {**meta["loss"], "reg_loss": meta["loss"].get("off_loss")}
    for name, theirs in names.items():
        np.testing.assert_allclose(float(each[name]), expected[f"{theirs}_loss"], rtol=1e-4)
    found = gradients(lambda maps: total(maps)[0], start)
    for name, value in found.items():
        wanted = arrays[f"grad/{name[-1]}/{head(name[:-1])}"].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(value, wanted, atol=3e-4 * np.abs(wanted).max(), err_msg=name)


def test_the_sum_over_stacks_is_that_of_the_set():
    tasks = built()
    rows = {
        name: ops.convert_to_tensor(value) for name, value in rows_of([[4, 4, 20, 28]], [0], [[0, -1]], [1]).items()
    }
    targets = tasks.encode(rows, (16, 16))
    random = np.random.default_rng(0)
    maps = {
        head.name: [ops.convert_to_tensor(random.normal(size=(1, 16, 16, head.channels)), "float32")] * 2
        for head in tasks.heads
    }
    twice, once = tasks.losses(maps, targets), tasks.losses({name: one[:1] for name, one in maps.items()}, targets)
    for term in tasks.terms:
        factor = 2 if term.name in ("subject_offset", "object_offset") else 1
        np.testing.assert_allclose(float(twice[term.name]), factor * float(once[term.name]), rtol=1e-5)
