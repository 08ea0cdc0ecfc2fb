"""Losses of tracking and their gradients are the original's; two tasks on one trunk share their terms; it learns."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf import losses
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.preprocess import Normalization
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.detect import Detect
from centernet_tf.tasks.track import Track
from centernet_tf.training.trainer import Trainer

OFFICIAL = {
    "heatmap": "hm",
    "offset": "reg",
    "size": "wh",
    "displacement": "tracking",
    "amodal_box": "ltrb_amodal",
}


def test_losses_and_gradients_equal_the_original(golden, gradients):
    arrays, meta = golden("loss_ct__mot")
    listed = {name: arrays[f"target_{name}"].astype(np.int32) for name in ("ind", "cat")}
    target = {"heatmap": {"heatmap": arrays["target_hm"], "index": listed["ind"], "classes": listed["cat"]}}
    target["heatmap"]["mask"] = arrays["target_mask"]
    for ours, theirs in OFFICIAL.items():
        if ours != "heatmap":
            target[ours] = {"index": listed["ind"], "mask": arrays[f"target_{theirs}_mask"]}
            target[ours]["value"] = arrays[f"target_{theirs}"]
    tasks = build_tasks({"track": Track(amodal_box=True)}, Centers(1))
    assert {term.name: term.weight for term in tasks.terms} == {a: meta["weights"][b] for a, b in OFFICIAL.items()}
    maps = {ours: arrays[f"raw_{theirs}"] for ours, theirs in OFFICIAL.items()}
    found = tasks.losses({name: [value] for name, value in maps.items()}, target)
    for ours, theirs in OFFICIAL.items():
        assert float(found[ours]) == pytest.approx(float(arrays[f"loss_{theirs}"]), rel=1e-4), ours
    assert float(tasks.total(found)) == pytest.approx(float(arrays["loss_tot"]), rel=1e-4)
    walked = gradients(lambda outputs: tasks.total(tasks.losses(outputs, target)), maps)
    for ours, theirs in OFFICIAL.items():
        expected = arrays[f"grad_{theirs}"]
        np.testing.assert_allclose(walked[ours], expected, atol=1e-4 * np.abs(expected).max() + 3e-7, err_msg=ours)


@pytest.mark.parametrize(
    ("rows", "hits"),
    [
        ([], 0),
        ([(1, 0)], 1),
        ([(1, 0), (1, 0)], 2),  # two on one cell count twice
        ([(1, 1)], 1),
    ],
)
def test_centers_are_those_of_the_list(rows, hits):
    logits = np.full((1, 2, 3, 2), -1.0, np.float32)
    heatmap = np.zeros_like(logits)
    heatmap[0, 1, 2, 0] = 1  # ignored: no object stands for it
    for cell, kind in rows:
        heatmap[0, 0, cell, kind] = 1
    mask = np.arange(4)[None] < len(rows)
    index, classes = np.zeros((2, 1, 4), np.int32)
    for row, (cell, kind) in enumerate(rows):
        index[0, row], classes[0, row] = cell, kind
    target = {"heatmap": heatmap, "index": index, "classes": np.where(mask, classes, -1), "mask": np.float32(mask)}
    score = 1 / (1 + np.exp(1))
    unfilled = heatmap.size - 1 - len(set(rows))
    expected = -(hits * np.log(score) * (1 - score) ** 2 + unfilled * np.log(1 - score) * score**2) / max(hits, 1)
    assert float(losses.focal(ops.convert_to_tensor(logits), target)) == pytest.approx(expected, rel=1e-5)


def clip_batch(seed=0, images=2, size=(64, 96)):
    """A square that has moved on, with the rows that the pipeline makes of such a pair."""
    random = np.random.default_rng(seed)
    inputs = {"color": np.tile(np.float32([1, 0, 0, 0, 0, 0]), (images, 1))}
    frames = random.integers(0, 60, (2, images, *size, 3)).astype(np.uint8)
    before = np.stack([random.integers(8, 50, images), random.integers(8, 30, images)], axis=1)
    present = before + random.integers(-6, 7, (images, 2))
    for frame, corners in zip(frames, (before, present)):
        for image, (left, top) in zip(frame, corners):
            image[top : top + 20, left : left + 24] = 220
    inputs |= {"previous": frames[0], "image": frames[1]}

    def padded(values, dtype=np.float32):
        return np.stack([np.asarray(values, dtype), np.zeros_like(values, dtype)], axis=1)

    side = np.array([24, 20])
    valid = padded(np.ones(images), bool)
    boxes = {name: np.concatenate([one, one + side], axis=1) for name, one in (("p", present), ("b", before))}
    shifts = np.zeros((images, 2, 2, 2), np.float32)
    drawn = padded(np.tile([True, False], (images, 1)), bool)
    inputs["rows"] = {"boxes": padded(boxes["b"]), "valid": valid, "shifts": shifts, "drawn": drawn}
    rows = {"boxes": padded(boxes["p"]), "classes": padded(np.zeros(images), np.int32), "valid": valid}
    rows |= {"crowd": ~valid & False, "before": padded(before + side / 2), "known": valid}
    return inputs, rows


@pytest.mark.long
def test_training_lowers_every_term():
    keras.utils.set_random_seed(0)
    tasks = build_tasks({"track": Track(amodal_box=True)}, Centers(1, max_objects=2))
    inputs, rows = clip_batch()
    network = build_network("tiny", tasks.heads, tasks.inputs)
    trainer = Trainer(network, tasks, Normalization((0, 0, 0), (1, 1, 1), "rgb"), (64, 96))
    trainer.compile(keras.optimizers.Adam(0.01), loss=None, jit_compile=keras.backend.backend() == "jax")
    found = trainer.fit(inputs, rows, batch_size=2, epochs=14, shuffle=False, verbose=0).history
    for term in tasks.terms:
        values = found[f"{term.name}_loss"]
        assert np.isfinite(values).all() and values[-1] < 0.9 * values[0], f"{term.name}: {values}"


@pytest.mark.slow
def test_boxes_on_the_same_trunk_share_their_terms():
    both = build_tasks({"detect": Detect(), "track": Track()}, Centers(1, max_objects=2))
    alone = build_tasks({"detect": Detect()}, Centers(1, max_objects=2))
    assert [term.name for term in both.terms] == ["heatmap", "offset", "size", "displacement"]
    rows = {name: ops.convert_to_tensor(values) for name, values in clip_batch()[1].items()}
    assert set(both.encode(rows, (16, 24))["heatmap"]) == {"heatmap", "index", "classes", "mask"}
    assert set(alone.encode(rows, (16, 24))["heatmap"]) == {"heatmap"}  # as its own original
