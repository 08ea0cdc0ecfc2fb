"""The images of an evaluation as long columns, and the pairs of annotated and found objects whose boxes intersect."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from centernet_tf.metrics.boxes import Image
from centernet_tf.properties.boxes3d.rotated_iou import boxes3d_iou, may_touch

# Images at a time: every object of an image is paired with every detection before most pairs are dropped.
_CHUNK = 256


@dataclass(frozen=True)
class Table:
    """G annotated and D found objects of all images, and their P pairs.

    Attributes:
        images: [G] int, number of the image of each annotated object, ascending.
        truth: Columns [G]: classes, heights (pixels), truncated, occluded, ignored, alphas.
        found: Columns [D]: classes, scores, heights (pixels), alphas.
        stuff: [D] largest fraction of a detection's box that lies in one region where nothing was labelled.
        first: [P] int, the annotated object of each pair, ascending.
        second: [P] int, the found one, ascending for each annotated one.
        ious: [3, P] of the boxes in the image, of the outlines on the ground, of the volumes.
    """

    images: np.ndarray
    truth: dict[str, np.ndarray]
    found: dict[str, np.ndarray]
    stuff: np.ndarray
    first: np.ndarray
    second: np.ndarray
    ious: np.ndarray


def tabulate(images: Sequence[Image], least: float) -> Table:
    """Makes the columns, and the pairs of which some IoU is more than `least`."""
    parts = [_part(images[start : start + _CHUNK], least) for start in range(0, len(images), _CHUNK)]
    truth_ends = np.cumsum([0, *(len(part.images) for part in parts)])
    found_ends = np.cumsum([0, *(len(part.stuff) for part in parts)])
    return Table(
        images=np.concatenate([part.images + number * _CHUNK for number, part in enumerate(parts)]),
        truth={name: np.concatenate([part.truth[name] for part in parts]) for name in parts[0].truth},
        found={name: np.concatenate([part.found[name] for part in parts]) for name in parts[0].found},
        stuff=np.concatenate([part.stuff for part in parts]),
        first=np.concatenate([part.first + end for part, end in zip(parts, truth_ends)]),
        second=np.concatenate([part.second + end for part, end in zip(parts, found_ends)]),
        ious=np.concatenate([part.ious for part in parts], axis=1),
    )


def _part(images: Sequence[Image], least: float) -> Table:
    def column(kind: str, name: str) -> np.ndarray:
        return np.concatenate([getattr(image, kind)[name] for image in images])

    truth_boxes, found_boxes = column("truth", "boxes"), column("found", "boxes")
    truth_boxes3d, found_boxes3d = column("truth", "boxes3d"), column("found", "boxes3d")
    counts, found_counts, stuff_counts = (
        np.array([len(getattr(image, kind)[name]) for image in images])
        for kind, name in (("truth", "classes"), ("found", "classes"), ("truth", "stuff"))
    )
    first, second = _pairs(counts, found_counts)
    flat = _box_ious(truth_boxes[first], found_boxes[second])
    ground, space = np.zeros(len(flat)), np.zeros(len(flat))
    near = may_touch(truth_boxes3d[first, 1:], found_boxes3d[second, 1:])
    ground[near], space[near] = boxes3d_iou(truth_boxes3d[first[near], 1:], found_boxes3d[second[near], 1:])
    ious = np.stack([flat, ground, space])
    kept = (ious > least).any(axis=0)
    return Table(
        images=np.repeat(np.arange(len(images)), counts),
        truth={
            "heights": truth_boxes[:, 3] - truth_boxes[:, 1],
            "alphas": truth_boxes3d[:, 0],
            **{name: column("truth", name) for name in ("classes", "truncated", "occluded", "ignored")},
        },
        found={
            "heights": np.abs(found_boxes[:, 3] - found_boxes[:, 1]),
            "alphas": found_boxes3d[:, 0],
            **{name: column("found", name) for name in ("classes", "scores")},
        },
        stuff=_stuff(column("truth", "stuff"), stuff_counts, found_boxes, found_counts),
        first=first[kept],
        second=second[kept],
        ious=ious[:, kept],
    )


def _pairs(counts: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs within images that have `counts` of one thing and `others` of another."""
    first = np.repeat(np.arange(counts.sum()), np.repeat(others, counts))
    start = np.repeat(np.cumsum(others) - others, counts * others)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts * others) - counts * others, counts * others)
    return first, start + within % np.repeat(np.maximum(others, 1), counts * others)


def _box_ious(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[P] intersection over union of pairs of boxes [P, 4]."""
    common = _common(first, second)
    union = _areas(first) + _areas(second) - common
    return np.divide(common, union, out=np.zeros(len(common)), where=union > 0)


def _stuff(regions: np.ndarray, counts: np.ndarray, boxes: np.ndarray, box_counts: np.ndarray) -> np.ndarray:
    """[D] largest fraction of each box that lies in one region of its image."""
    covered = np.zeros(len(boxes))
    box, region = _pairs(box_counts, counts)
    areas = _areas(boxes[box])
    within = np.divide(_common(boxes[box], regions[region]), areas, out=np.zeros(len(box)), where=areas > 0)
    np.maximum.at(covered, box, within)
    return covered


def _common(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    return np.maximum(sides, 0).prod(axis=1)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
