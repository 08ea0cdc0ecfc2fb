"""Pairs of objects to targets: interaction points with the way to both objects, or with a vector between them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.geometry import gaussian
from centernet_tf.points.heatmap import UNJUDGED

REACH = 10.0  # Radius of IP-Net's Gaussians in cells, whatever lies between the objects.


def displacements(
    rows: Mapping[str, Any], located: Mapping[str, Any], alone: np.ndarray, most: int, corrected: bool = False
) -> dict[str, Any]:
    """Points halfway between the cells of subject and object, and the way to each (PPDM, section 3.2).

    As in the original, an object whose box lies outside of the grid still ends pairs, at the edge. What is done to no
    object has its point at the subject's cell, as large as the subject is, and the way to its object is 0, or, of verbs
    that never have one, nowhere.

    Args:
        rows: "pairs" [B, P, 2] and "verbs" [B, P] of padded objects, and "valid" [B, N].
        located: What `Centers.locate` returned.
        alone: [V] bool, verbs that never have an object.
        most: Pairs of an image that count, the first ones.
        corrected: As of `Centers.corrected_radius`.

    Returns:
        "verb" {"heatmap" [B, h, w, V]}; "subject_offset" and "object_offset" {"index" [B, P], "mask" [B, P, 1], "value"
        [B, P, 2]}, from a member's cell to the point's, in cells.
    """
    pairs = _pairs(rows, located, most, rows["valid"])
    subject, target = (_of(located["cell"], pairs[name]) for name in ("subject", "object"))
    cell = ops.floor((subject + target) / 2)
    sides = ops.abs(subject - target)
    between = gaussian.whole(gaussian.radius(sides[..., 1], sides[..., 0], corrected=corrected))
    own = ops.take_along_axis(located["radius"], pairs["subject"], axis=1)
    shares = {"index": _index(cell, located), "mask": ops.cast(pairs["valid"], "float32")[..., None]}
    ends = ops.cast(ops.logical_not(ops.take(alone, pairs["verbs"])), "float32")[..., None]
    return {
        "verb": _heatmap(cell, ops.where(pairs["whole"], between, own), pairs, located, len(alone)),
        "subject_offset": {**shares, "value": cell - subject},
        "object_offset": {**shares, "mask": shares["mask"] * ends, "value": cell - target},
    }


def vectors(rows: Mapping[str, Any], located: Mapping[str, Any], alone: np.ndarray, most: int) -> dict[str, Any]:
    """Points halfway between the centres of subject and object, and how far these are apart (IP-Net, section 4.2).

    As in the original, pairs of an object whose box lies outside of the grid have no point, several verbs of one pair
    count as one vector, and the centres are not those of cells. What is done to no object has its point at the
    subject's cell; only verbs that never have an object are learnt so.

    Args:
        rows: As of `displacements`.
        located: As there; likewise `alone` and `most`.
        alone: See located.
        most: See located.

    Returns:
        "verb" {"heatmap" [B, h, w, V]}; "vector" {"index" [B, P], "mask" [B, P, 1], "value" [B, P, 2]}, width and
        height of the box that has both centres as corners, in cells.
    """
    pairs = _pairs(rows, located, most, located["keep"])
    subject, target = (_of(located["center"], pairs[name]) for name in ("subject", "object"))
    cell = ops.floor((subject + target) / 2)
    own = ops.take_along_axis(located["radius"], pairs["subject"], axis=1)
    known = ops.logical_and(pairs["valid"], ops.logical_or(pairs["whole"], ops.take(alone, pairs["verbs"])))
    drawn = {**pairs, "valid": known}
    counted = ops.logical_and(ops.logical_and(known, pairs["whole"]), _first(pairs))
    return {
        "verb": _heatmap(cell, ops.where(pairs["whole"], REACH, own), drawn, located, len(alone)),
        "vector": {
            "index": _index(cell, located),
            "mask": ops.cast(counted, "float32")[..., None],
            "value": ops.abs(subject - target),
        },
    }


def _pairs(rows: Mapping[str, Any], located: Mapping[str, Any], most: int, there: Any) -> dict[str, Any]:
    """Rows of both members and the verb [B, P], whether the pair has an object, and whether it can be learnt.

    Rows and verbs of what cannot be are 0. A pair without an object has its subject in this place.
    """
    rows_of, verbs = (ops.cast(rows[name][:, :most], "int32") for name in ("pairs", "verbs"))
    subject, whole = ops.maximum(rows_of[..., 0], 0), rows_of[..., 1] >= 0
    target = ops.where(whole, ops.maximum(rows_of[..., 1], 0), subject)
    valid = ops.logical_and(rows_of[..., 0] >= 0, verbs >= 0)
    for member in (subject, target):
        valid = ops.logical_and(valid, ops.take_along_axis(there, member, axis=1))
    if located["rotated"] is not None:  # Boxes do not rotate with their image.
        valid = ops.logical_and(valid, ops.logical_not(located["rotated"])[:, None])
    return {"subject": subject, "object": target, "verbs": ops.maximum(verbs, 0), "whole": whole, "valid": valid}


def _of(values: Any, rows: Any) -> Any:
    """[B, P, D] of objects' values [B, N, D], by row [B, P]."""
    return ops.take_along_axis(values, ops.repeat(rows[..., None], values.shape[-1], axis=-1), axis=1)


def _index(cell: Any, located: Mapping[str, Any]) -> Any:
    return ops.cast(cell[..., 1] * located["grid"][1] + cell[..., 0], "int32")


def _first(pairs: Mapping[str, Any]) -> Any:
    """[B, P] bool: valid pairs before which none has the same members."""
    same = ops.logical_and(
        *(ops.equal(pairs[name][:, :, None], pairs[name][:, None]) for name in ("subject", "object"))
    )
    order = ops.arange(same.shape[1])
    before = ops.logical_and(order[:, None] > order[None, :], pairs["valid"][:, None])
    return ops.logical_not(ops.any(ops.logical_and(same, before), axis=-1))


def _heatmap(
    cell: Any, radius: Any, pairs: Mapping[str, Any], located: Mapping[str, Any], verbs: int
) -> dict[str, Any]:
    """Gaussians at the points of valid pairs in the channels of their verbs."""
    height, width = located["grid"]
    reach = ops.where(pairs["valid"], radius, -1.0)
    rows, columns = (gaussian.profile(cell[..., 1 - axis], reach, side) for axis, side in enumerate((height, width)))
    heatmap = gaussian.merge_planes(rows, columns, pairs["verbs"], verbs)
    if located["rotated"] is not None:
        heatmap = ops.where(located["rotated"][:, None, None, None], UNJUDGED, heatmap)
    return {"heatmap": heatmap}
