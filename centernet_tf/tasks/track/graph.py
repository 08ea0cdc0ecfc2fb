"""`associate` inside a graph, so that an exported model carries its memory from call to call.

Shapes are fixed: K objects are found, M identities remembered. The surest object chooses first; the best sum of
distances (`Rules.hungarian`) takes the host.
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.points.videos import GraphAssociation
from centernet_tf.tasks.track.associate import Rules

_FAR = 1e18  # stands for pairs that are forbidden, and is no infinity: LiteRT's arithmetic may turn those into NaN

# What is remembered: shape behind [M], type, value of an empty row.
STATE = {
    "ids": ((), "int32", 0),
    "boxes": ((4,), "float32", 0.0),
    "points": ((2,), "float32", 0.0),
    "classes": ((), "int32", -1),
    "scores": ((), "float32", 0.0),
    "age": ((), "int32", 0),
    "active": ((), "int32", 0),
}


def association(rules: Rules, shown: float, threshold: float, prior: bool) -> GraphAssociation:
    """What a task says of it.

    Args:
        rules: When an object is someone who was there before.
        shown: Score from which who was seen in the last frame is drawn in the prior heatmap.
        threshold: Score above which an object is tracked.
        prior: Whether there is a prior heatmap.
    """

    def start(count: int) -> dict[str, Any]:
        # Those who are missed take as much room again, where they are remembered at all.
        return empty(count if rules.max_age < 2 else 2 * count)

    def follow(found: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[Any, dict[str, Any], dict[str, Any]]:
        ids, state = step({**found, "valid": found["scores"] > float(threshold)}, state, rules)
        return ids > 0, {"track_ids": ids}, state

    def recall(state: Mapping[str, Any]) -> dict[str, Any]:
        # Those of the last frame come first, and are as many as there are objects at most.
        most = state["ids"].shape[0] // (1 if rules.max_age < 2 else 2)
        seen = ops.logical_and(state["active"] > 0, state["scores"] >= float(shown))
        return {"boxes": state["boxes"][:most], "valid": ops.logical_and(seen, state["ids"] > 0)[:most]}

    return GraphAssociation(start, follow, recall if prior else None)


def empty(rows: int) -> dict[str, Any]:
    """The memory of a video that begins: {name: [rows, ...]}, ids of 0 in empty rows, and "next_id" [1] int32."""
    state = {name: ops.full((rows, *shape), value, dtype) for name, (shape, dtype, value) in STATE.items()}
    return {**state, "next_id": ops.ones((1,), "int32")}


def step(found: Mapping[str, Any], state: Mapping[str, Any], rules: Rules) -> tuple[Any, dict[str, Any]]:
    """Gives the objects of one frame their identities.

    Args:
        found: "boxes" [K, 4], "scores" [K], "classes" [K] int32, "points" [K, 2], "displacements" [K, 2] as
            `associate.step` takes them, and "valid" [K] bool: the rows that count, best score first.
        state: Of `empty`, or what the last step returned.
        rules: When an object is someone who was there before.

    Returns:
        [K] int32 identities, 0 for objects that are nobody; and the new state. Where more are known than M, those
        missed last in the list are forgotten.
    """
    count, rows = found["boxes"].shape[0], state["ids"].shape[0]
    before = found["points"] + found["displacements"]
    cost = ops.sum((before[:, None] - state["points"][None]) ** 2, axis=-1)  # [K, M]
    near = ops.logical_and(cost <= _areas(found["boxes"])[:, None], cost <= _areas(state["boxes"])[None])
    alike = ops.equal(found["classes"][:, None], state["classes"][None])
    there = ops.logical_and(found["valid"][:, None], state["ids"][None] > 0)
    match = _nearest_first(ops.where(ops.logical_and(ops.logical_and(near, alike), there), cost, _FAR))
    matched = match >= 0
    born = ops.logical_and(
        ops.logical_and(found["valid"], ops.logical_not(matched)), found["scores"] > float(rules.birth)
    )
    place = ops.maximum(match, 0)
    fresh = state["next_id"] + ops.cumsum(ops.cast(born, "int32")) - 1
    ids = ops.where(matched, ops.take(state["ids"], place), ops.where(born, fresh, 0))
    taken = ops.any(ops.equal(match[:, None], ops.arange(rows, dtype="int32")[None]), axis=0)
    missed = ops.logical_and(
        ops.logical_and(state["ids"] > 0, ops.logical_not(taken)), state["age"] < int(rules.max_age)
    )
    streak = ops.where(matched, ops.take(state["active"], place), 0) + 1
    ours = {**found, "ids": ids, "age": ops.ones((count,), "int32"), "active": streak}
    theirs = {**state, "age": state["age"] + 1, "active": ops.zeros((rows,), "int32")}
    # Those who were matched come first, then those who were born, then those who are missed, each in their order.
    number = ops.arange(count, dtype="int32")
    end = 2 * count + rows
    rank = ops.where(matched, number, ops.where(born, count + number, end))
    rank = ops.concatenate([rank, ops.where(missed, 2 * count + ops.arange(rows, dtype="int32"), end)])
    chosen = ops.cast(ops.top_k(-ops.cast(rank, "float32"), rows)[1], "int32")
    filled = ops.take(rank, chosen) < end
    state = {"next_id": state["next_id"] + ops.sum(ops.cast(born, "int32"))}
    for name, (shape, dtype, value) in STATE.items():
        both = ops.concatenate([ops.cast(ours[name], dtype), ops.cast(theirs[name], dtype)])
        kept = ops.reshape(filled, (rows, *(1 for _ in shape)))
        state[name] = ops.where(kept, ops.take(both, chosen, axis=0), ops.cast(value, dtype))
    return ids, state


def _nearest_first(cost: Any) -> Any:
    """[K] int32 column of each row, -1 for none: row after row takes the nearest that is free."""
    count, columns = cost.shape
    rows, places = ops.arange(count, dtype="int32"), ops.arange(columns, dtype="int32")

    def choose(row: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        taken, match = state
        open_ = ops.where(taken, _FAR, ops.take(cost, row, axis=0))
        # Not `argmin`, which tells -0.0 from 0.0 by their bits, and no TFLite operator does.
        nearest, chosen = ops.top_k(-open_, 1)
        place = ops.cast(chosen[0], "int32")
        fits = -nearest[0] < _FAR
        taken = ops.logical_or(taken, ops.logical_and(fits, ops.equal(places, place)))
        return taken, ops.where(ops.logical_and(fits, ops.equal(rows, row)), place, match)

    start = ops.zeros((columns,), "bool"), ops.full((count,), -1, "int32")
    return ops.fori_loop(0, count, choose, start)[1]


def _areas(boxes: Any) -> Any:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
