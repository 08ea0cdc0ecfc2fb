"""Targets, losses with gradients and decoding of re-identification equal the original's; batches of strangers."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.geometry import affine
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.reid import Reid
from centernet_tf.tasks.reid.losses import FAR, START, Classifier, LearnedWeights, scale_of, unit

OFFICIAL = {"heatmap": "hm", "offset": "reg", "size": "wh", "embedding": "id"}


def numpy_of(values):
    return keras.tree.map_structure(ops.convert_to_numpy, values)


def rows_of(labels, input_wh, length, offset=0):
    """Padded rows of an image from class, identity, centre x, centre y, width, height as fractions of the input."""
    labels = labels.astype(np.float32)
    centers, sizes = labels[:, 2:4] * input_wh, labels[:, 4:] * input_wh
    ids = labels[:, 1].astype(np.int32)
    rows = {
        "boxes": np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1),
        "classes": labels[:, 0].astype(np.int32),
        "crowd": np.zeros(len(labels), bool),
        "identities": np.where(ids >= 0, ids + offset, -1).astype(np.int32),
    }
    padded = {name: np.zeros((1, length, *one.shape[1:]), one.dtype) for name, one in rows.items()}
    for name, values in rows.items():
        padded[name][0, : len(labels)] = values
    return {**padded, "valid": np.arange(length)[None] < len(labels)}


@pytest.mark.parametrize("name", ["plain", "augmented"])
def test_targets_equal_the_original(name, golden):
    arrays, meta = golden(f"target_fm__{name}")
    length, grid = meta["max_objects"], tuple(meta["output_hw"])
    rows = rows_of(arrays["labels"], np.float32(meta["input_wh"]), length, int(meta["id_offset"]))
    tasks = build_tasks({"reid": Reid(identities=(meta["number_of_ids"],))}, Centers(1, length, ltrb=True))
    found = numpy_of(tasks.encode(rows, grid))
    kept = arrays["out_reg_mask"] > 0
    assert kept.sum() == len(arrays["labels"]) > 8
    assert (found["size"]["mask"][0, :, 0] > 0).tolist() == kept.tolist()
    np.testing.assert_array_equal(found["identity"]["index"][0][kept], arrays["out_ind"][kept])
    np.testing.assert_array_equal(found["identity"]["identities"][0][kept], arrays["out_ids"][kept])
    np.testing.assert_allclose(found["heatmap"]["heatmap"][0], arrays["out_hm"], atol=1e-4)
    for ours, theirs in (("offset", "reg"), ("size", "wh")):
        np.testing.assert_allclose(found[ours]["value"][0][kept], arrays[f"out_{theirs}"][kept], atol=1e-4)


def golden_losses(arrays, meta):
    """The tasks with the recorded weights of the loss, and the recorded targets."""
    settings = Reid(embedding=meta["embedding_size"], identities=(meta["number_of_ids"],))
    tasks = build_tasks({"reid": settings}, Centers(1, ltrb=True))
    for layer in tasks.layers:
        layer.build(None)
    classifier, _ = tasks.layers
    classifier.kernel.assign(arrays["param_classifier.weight"].T)
    classifier.bias.assign(arrays["param_classifier.bias"])
    index, mask = arrays["target_ind"].astype(np.int32), arrays["target_reg_mask"].astype(np.float32)[..., None]
    boxes = {"index": index, "mask": mask}
    target = {
        "heatmap": {"heatmap": arrays["target_hm"]},
        "offset": {**boxes, "value": arrays["target_reg"]},
        "size": {**boxes, "value": arrays["target_wh"]},
        "identity": {"index": index, "classes": np.zeros_like(index)},
    }
    target["identity"]["identities"] = np.where(mask[..., 0] > 0, arrays["target_ids"], -1).astype(np.int32)
    return tasks, target


def test_losses_and_gradients_equal_the_original(golden, gradients):
    arrays, meta = golden("loss_fm__default")
    tasks, target = golden_losses(arrays, meta)
    assert scale_of(meta["number_of_ids"]) == pytest.approx(meta["embedding_scale"], rel=1e-6)
    start = {ours: arrays[f"raw_{theirs}"] for ours, theirs in OFFICIAL.items()}
    terms = numpy_of(tasks.losses({name: [ops.convert_to_tensor(one)] for name, one in start.items()}, target))
    for ours, theirs in (("heatmap", "hm"), ("size", "wh"), ("offset", "off"), ("identity", "id")):
        assert terms[ours] == pytest.approx(float(arrays[f"loss_{theirs}"]), rel=1e-4), ours
    assert float(numpy_of(tasks.total(terms))) == pytest.approx(float(arrays["loss_loss"]), rel=1e-4)
    found = gradients(lambda maps: tasks.total(tasks.losses(maps, target)), start, tasks.layers)
    expected = {ours: arrays[f"grad_{theirs}"] for ours, theirs in OFFICIAL.items()}
    expected |= {
        "identities/kernel": arrays["grad_param_classifier.weight"].T,
        "identities/bias": arrays["grad_param_classifier.bias"],
        "loss_weights/identity": arrays["grad_param_s_id"][0],
        "loss_weights/detection": arrays["grad_param_s_det"][0],
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4 * np.abs(value).max() + 3e-7, err_msg=name)


@pytest.mark.parametrize("strangers", ["no object", "unknown"])
def test_strangers_cost_nothing_and_move_nothing(strangers, gradients):
    classifier, weights = Classifier((5,), 4), LearnedWeights()
    classifier.build(), weights.build()
    identities = np.full((2, 3), -1, np.int32)
    index = np.zeros((2, 0) if strangers == "no object" else (2, 3), np.int32)
    target = {"index": index, "classes": index, "identities": identities[:, : index.shape[1]]}
    start = {"embedding": np.random.default_rng(0).normal(size=(2, 4, 4, 4)).astype(np.float32)}

    def total(maps):
        identity = classifier(maps["embedding"][0], target)
        return weights({"heatmap": 0 * ops.sum(maps["embedding"][0]) + 2.0, "identity": identity})

    assert float(ops.convert_to_numpy(classifier(start["embedding"], target))) == 0
    wanted = 0.5 * (np.exp(-START[0]) * 2 + START[0])
    found = weights({"heatmap": ops.ones(()) * 2, "identity": ops.zeros(())})
    assert float(ops.convert_to_numpy(found)) == pytest.approx(wanted, rel=1e-6)
    moved = gradients(total, start, (classifier, weights))
    assert [name for name, value in moved.items() if np.any(value)] == ["loss_weights/detection"]


def slow_identity_loss(values, target, classifier):
    """Object by object: the cross-entropy among the identities of its own class."""
    kernel, bias = (ops.convert_to_numpy(one).astype(float) for one in (classifier.kernel, classifier.bias))
    starts, errors = np.cumsum([0, *classifier.counts]), []
    for image, row in np.argwhere(target["identities"] >= 0):
        label = target["classes"][image, row]
        cells = values[image].reshape(-1, values.shape[-1]).astype(float)
        vector = cells[target["index"][image, row]]
        vector = scale_of(classifier.counts[label]) * vector / np.linalg.norm(vector)
        own = slice(starts[label], starts[label + 1])
        logits = vector @ kernel[:, own] + bias[own]
        odds = np.exp(logits - logits.max())
        errors.append(-np.log(odds[target["identities"][image, row] - starts[label]] / odds.sum()))
    return np.mean(errors)


@pytest.mark.parametrize("counts", [(7,), (4, 0, 3), (1, 9, 2)])
def test_identities_are_told_apart_within_their_class(counts):
    random = np.random.default_rng(len(counts))
    classifier = Classifier(counts, 6)
    classifier.build()
    values = random.normal(size=(2, 5, 4, 6)).astype(np.float32)
    classes = random.choice(np.flatnonzero(counts), (2, 8)).astype(np.int32)
    first = np.cumsum([0, *counts])[:-1]
    identities = (first + random.random((2, 8, 1)) * counts)[np.arange(2)[:, None], np.arange(8), classes]
    identities = identities.astype(np.int32)
    identities[random.random((2, 8)) < 0.3] = -1
    target = {"index": random.integers(0, 20, (2, 8), np.int32), "classes": classes, "identities": identities}
    found = float(ops.convert_to_numpy(classifier(ops.convert_to_tensor(values), target)))
    assert found == pytest.approx(slow_identity_loss(values, target, classifier), rel=1e-5)


def test_no_stranger_pulls_at_the_identities_of_another_class():
    classifier = Classifier((2, 3), 4)
    classifier.build()
    logits = classifier._logits(ops.ones((1, 2, 4)), np.int32([[0, 1]]))
    far = ops.convert_to_numpy(logits)[0] == np.float32(FAR)
    assert far.tolist() == [[False, False, True, True, True], [True, True, False, False, False]]


def test_few_identities_have_a_scale():
    assert scale_of(0) == scale_of(2) == scale_of(3) > 0.9
    assert scale_of(14455) == pytest.approx(13.546, abs=1e-3)


def test_a_vector_of_no_length_stays():
    np.testing.assert_array_equal(
        ops.convert_to_numpy(unit(np.float32([[0, 0], [3, 4]]))), np.float32([[0, 0], [0.6, 0.8]])
    )


def test_decoding_equals_the_original(golden):
    arrays, meta = golden("decode_fm__default")
    settings = Reid(embedding=meta["embedding_size"])
    tasks = build_tasks({"reid": settings}, Centers(1, meta["K"], ltrb=True))
    found = numpy_of(tasks.decode({ours: [arrays[f"raw_{theirs}"]] for ours, theirs in OFFICIAL.items()}))
    np.testing.assert_allclose(found["boxes"][0], arrays["dets"][:, :4], atol=2e-3 / STRIDE)
    np.testing.assert_allclose(found["scores"][0], arrays["dets"][:, 4], atol=1e-5)
    np.testing.assert_allclose(found["embeddings"][0], arrays["embeddings"], atol=1e-5)
    kept = found["scores"][0] > meta["conf_thres"]
    height, width = meta["input_hw"]
    side = max(meta["picture_wh"][0], meta["picture_wh"][1] * width / height)
    assert side == meta["scale"]
    back = affine.invert(affine.fit_matrix(tuple(meta["center"]), side, (height, width)))
    boxes = affine.move(found["boxes"][0][kept] * STRIDE, back, "boxes")
    wanted = arrays["result_ltrb_score"][: kept.sum()]
    np.testing.assert_allclose(boxes, wanted[:, :4], atol=2e-3)
    assert len(arrays["result_ltrb_score"]) == len(wanted)
