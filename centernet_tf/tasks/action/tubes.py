"""What a detector finds in the windows of a video, linked to tubes: detections in, detections with identities out."""

import dataclasses
from typing import Any

import numpy as np

from centernet_tf.properties.property import Rows
from centernet_tf.tasks.action import link
from centernet_tf.tasks.action.memory import Memory


@dataclasses.dataclass(frozen=True, eq=False)
class Linked:
    """What is held of a video.

    Attributes:
        memory: Of `link`.
        like: Detections of the last frame, by which others are made; None before the first.
    """

    memory: Memory
    like: Any = None


def start(rules: link.Rules) -> Linked:
    """Of a video that begins."""
    return Linked(Memory.empty(rules.frames))


def step(found: Any, linked: Linked, rules: link.Rules) -> tuple[list[Any], Linked]:
    """Takes in the window around the next frame; see `link.step`.

    Args:
        found: `results.Detections` with "tubelets" [N, K, 4] among their fields.
        linked: What is held.
        rules: When tubelets are one tube.

    Returns:
        The frames that can be told, as Detections whose objects are those of tubes, with "track_ids" [M] and
        "tube_scores" [M]; and what is held then.
    """
    told, memory = link.step(found.rows, linked.memory, rules)
    # Of the detections of one frame only names and sizes are held, for `finish`.
    return [_made(rows, found) for rows in told], Linked(memory, found[:0])


def finish(linked: Linked, rules: link.Rules) -> list[Any]:
    """The frames that were held back until the end."""
    return [] if linked.like is None else [_made(rows, linked.like) for rows in link.finish(linked.memory, rules)]


def _made(rows: Rows, like: Any) -> Any:
    """Detections of a frame, best first."""
    order = np.argsort(-rows["scores"], kind="stable")
    fields = {name: rows[name][order] for name in ("track_ids", "tube_scores")}
    own = {name: rows[name][order] for name in ("boxes", "scores", "classes")}
    return dataclasses.replace(like, **own, fields=fields)
