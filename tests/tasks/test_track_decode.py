"""Maps to tracked objects as the original decodes them."""

import numpy as np
import pytest
from keras import ops

from centernet_tf.geometry import affine
from centernet_tf.points.centers import Centers
from centernet_tf.tasks.track import decode

HEADS = {"heatmap": "hm", "offset": "reg", "size": "wh", "displacement": "tracking", "amodal_box": "ltrb_amodal"}


def decoded(maps, centers):
    peaks = centers.peaks(maps)
    found = decode.decode(maps, peaks, centers.decode(maps, peaks)["boxes"])
    return {name: ops.convert_to_numpy(one) for name, one in found.items()}


@pytest.mark.parametrize("amodal", [True, False])
def test_equals_the_original(amodal, golden):
    arrays, meta = golden("decode_ct__mot")
    maps = {ours: arrays[f"raw_{theirs}"] for ours, theirs in HEADS.items() if amodal or ours != "amodal_box"}
    centers = Centers(meta["num_classes"], meta["K"])
    found = decoded(maps, centers)
    if not amodal:
        x, y = arrays["dets_cts"][0].astype(int).T
        middles, sides = (maps[name][0, y, x].astype(float) for name in ("offset", "size"))
        middles, sides = middles + arrays["dets_cts"][0], np.maximum(sides, 0)
        boxes = np.concatenate([middles - sides / 2, middles + sides / 2], axis=1)
        np.testing.assert_allclose(found["boxes"][0], boxes, atol=1e-4)
        return
    cells = {"boxes": "bboxes_amodal", "displacements": "tracking", "points": "cts"}
    np.testing.assert_allclose(found["scores"], arrays["dets_scores"], atol=1e-5)
    np.testing.assert_array_equal(found["classes"], arrays["dets_clses"])
    for ours, theirs in cells.items():
        np.testing.assert_allclose(found[ours], arrays[f"dets_{theirs}"], atol=1e-4, err_msg=ours)
    kept = found["scores"][0] > meta["out_thresh"]
    assert kept.sum() == arrays["result_count"] > 5
    back = arrays["trans_output_inverse"]
    points = affine.move_points(found["points"][0][kept], back)
    corners = [affine.move_points(found["boxes"][0][kept][:, side : side + 2], back) for side in (0, 2)]
    ways = found["displacements"][0][kept] @ back[:, :2].T
    for value, name in ((points, "ct"), (np.concatenate(corners, axis=1), "bbox"), (ways, "tracking")):
        np.testing.assert_allclose(value, arrays[f"result_{name}"][kept], atol=2e-3, err_msg=name)


def test_negative_sizes_are_none():
    maps = {name: np.zeros((1, 4, 4, 2), np.float32) for name in ("offset", "size", "displacement")}
    maps["heatmap"] = np.zeros((1, 4, 4, 1), np.float32)
    maps["size"] -= 3
    boxes = decoded(maps, Centers(1, 3))["boxes"]
    np.testing.assert_array_equal(boxes[..., :2], boxes[..., 2:])
