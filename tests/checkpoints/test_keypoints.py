"""A converted pose checkpoint finds the keypoints that the published rules find in PyTorch's maps."""

import numpy as np
import pytest
from keras import ops

from centernet_tf import preprocess
from centernet_tf.checkpoints.convert import convert_tensors
from centernet_tf.checkpoints.state_dict import StateDict
from centernet_tf.detector.detector import Detector
from centernet_tf.geometry import affine

torch = pytest.importorskip("torch", reason="reading checkpoints needs the extra [torch]")
functional = torch.nn.functional
pytestmark = pytest.mark.usefixtures("one_trunk", "eagerly")


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def official_peaks(heatmap, count):
    """Scores, rows and columns [C, count] of [C, h, w]: 3x3 maxima, the best of each channel."""
    scores = torch.sigmoid(torch.from_numpy(heatmap))[None]
    kept = (scores * (functional.max_pool2d(scores, 3, 1, 1) == scores).float())[0]
    best, place = torch.topk(kept.flatten(1), count)
    return best.numpy(), (place // heatmap.shape[2]).numpy(), (place % heatmap.shape[2]).numpy()


def official_decode(maps, count):
    """Boxes [K, 4], scores [K] and keypoints [K, 17, 2] of one image, from maps [channels, h, w] by official names."""
    scores, rows, columns = (values[0] for values in official_peaks(maps["hm"], count))
    cells = np.stack([columns, rows], axis=-1)
    told = maps["hps"][:, rows, columns].T.reshape(count, 17, 2) + cells[:, None]
    centers, half = cells + maps["reg"][:, rows, columns].T, maps["wh"][:, rows, columns].T / 2
    boxes = np.concatenate([centers - half, centers + half], axis=1)
    if "hm_hp" in maps:
        keypoint_scores, keypoint_rows, keypoint_columns = official_peaks(maps["hm_hp"], count)
    found = told.copy()
    for keypoint in range(17 if "hm_hp" in maps else 0):
        shift = 0.5
        if "hp_offset" in maps:
            shift = maps["hp_offset"][:, keypoint_rows[keypoint], keypoint_columns[keypoint]].T
        points = np.stack([keypoint_columns[keypoint], keypoint_rows[keypoint]], axis=-1) + shift
        good = keypoint_scores[keypoint] > 0.1
        points, sure = np.where(good[:, None], points, -10000), np.where(good, keypoint_scores[keypoint], -1)
        distances = np.linalg.norm(told[:, keypoint, None] - points[None], axis=-1)
        for row, nearest in enumerate(distances.argmin(axis=1)):
            (x, y), (left, top, right, bottom) = points[nearest], boxes[row]
            rejected = x < left or x > right or y < top or y > bottom or sure[nearest] < 0.1
            if not rejected and distances[row, nearest] <= 0.3 * max(bottom - top, right - left):
                found[row, keypoint] = points[nearest]
    return boxes, scores, found


@pytest.mark.parametrize(
    ("size", "without"),
    [
        pytest.param((128, 128), (), marks=pytest.mark.long),
        ((128, 192), ()),
        pytest.param((128, 128), ("hp_offset",), marks=pytest.mark.long),
        ((128, 128), ("hm_hp", "hp_offset")),
    ],
    ids=str,
)
def test_keypoints_agree_with_the_published_rules(size, without, official_state, official_heads):
    heads = {name: count for name, count in official_heads["pose"].items() if name not in without}
    tensors = official_state("res_18", heads)
    # Random weights see no persons; larger boxes and surer keypoints give every rule something to decide.
    for name, factor, shift in (("wh", 1.0, 12.0), ("hps", 3.0, 0.0), ("hm_hp", 2.0, -1.0), ("hm", 2.0, 0.0)):
        if name in without:
            continue
        tensors[f"{name}.2.weight"] = tensors[f"{name}.2.weight"] * np.float32(factor)
        tensors[f"{name}.2.bias"] = tensors[f"{name}.2.bias"] + np.float32(shift)
    converted = convert_tensors(StateDict(tensors), "model.pth", size=size, max_objects=100)
    assert list(converted.card.tasks) == ["pose"]
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).repeat(2, 0).repeat(2, 1).astype(np.uint8)
    detector = Detector(converted.network, converted.card)
    found = detector(image, threshold=0.0)
    assert found.fields["keypoints"].shape == (len(found), 17, 2)

    fitted, _ = detector.graph.fit_images(image[None], np.array([image.shape[:2]], np.int32))
    outputs = converted.network(preprocess.normalize(fitted, converted.card.input.normalization), training=False)
    names = {"hm": "heatmap", "wh": "size", "reg": "offset", "hps": "keypoints"}
    names |= {"hm_hp": "keypoint_heatmap", "hp_offset": "keypoint_offset"}
    maps = {
        theirs: np.ascontiguousarray(ops.convert_to_numpy(outputs[ours][0])[0].transpose(2, 0, 1))
        for theirs, ours in names.items()
        if theirs in heads
    }
    boxes, scores, keypoints = official_decode(maps, 100)
    # The official inverse: the same affine map at a quarter of the size, turned round.
    window = affine.fit_matrix((image.shape[1] / 2, image.shape[0] / 2), 240, (size[0] // 4, size[1] // 4))
    back = affine.invert(window)
    kept = scores > 0
    np.testing.assert_allclose(found.scores, scores[kept], rtol=1e-4)
    np.testing.assert_allclose(found.boxes, affine.move(boxes, back, "boxes")[kept], atol=1e-2)
    np.testing.assert_allclose(found.fields["keypoints"], affine.move_points(keypoints, back)[kept], atol=1e-2)
    moved = found.fields["keypoint_scores"] != np.float32(0.1)
    assert 0.02 < moved.mean() < 0.98 if "hm_hp" in heads else not moved.any()
    assert [line.split("'")[1] for line in converted.report if line.startswith("no head")] == sorted(without)
