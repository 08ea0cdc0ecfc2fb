"""Who is who from frame to frame: by how objects look, where they should be, and how much their boxes overlap.

FairMOT (Zhang et al., 2021), section 3.4.2, and the official code's tracker, rule by rule; objects of weak scores after
ByteTrack (Zhang et al., 2022). Beyond the original, only objects of one class can be the same. Pure functions in NumPy
of a memory and of what was found; nothing grows with the length of a video.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.tasks.reid import kalman, matching


@dataclasses.dataclass(frozen=True)
class Rules:
    """When an object is someone who was there before.

    Limits are of distances: of fused ones for embeddings, else of 1 - IoU.

    Attributes:
        threshold: Objects count above this score.
        birth: Objects that nobody was become someone new from this score on; None for all that count.
        low: Above this score, and below `threshold`, objects continue who was seen in the frame before and nothing
            else is; None where they do not count.
        buffer: Frames that someone who is not seen is remembered; the original's is of a second. One frame longer, in
            fact, but who comes back then is forgotten when next missed.
        embedding_limit: Of everyone who is known, by appearance and motion.
        tracked_limit: Of who was seen in the frame before and is left.
        unconfirmed_limit: Of who was seen for the first time in the frame before.
        alone_limit: Of everyone who is known, where there are no embeddings.
        low_limit: Of objects of low scores.
        weight: Of appearance beside motion.
        duplicates: Of two whose boxes have a larger IoU, one seen and one missing, the younger is forgotten.
        smoothing: What stays of someone's embedding when seen.
        min_area: Of boxes to be told, pixels squared; smaller ones are followed, but not told.
        max_aspect: Width / height of boxes to be told. The original's 1.6 leaves out what is no pedestrian.
        use_embedding: Whether embeddings count, where there are any.
        use_motion: Whether boxes move as they did before, and pairs far from that are forbidden.
    """

    threshold: float = 0.4
    birth: float | None = None
    low: float | None = None
    buffer: int = 30
    embedding_limit: float = 0.4
    tracked_limit: float = 0.5
    unconfirmed_limit: float = 0.7
    alone_limit: float = 0.8
    low_limit: float = 0.4
    weight: float = 0.98
    duplicates: float = 0.85
    smoothing: float = 0.9
    min_area: float | None = None
    max_aspect: float | None = None
    use_embedding: bool = True
    use_motion: bool = True

    def __post_init__(self) -> None:
        if self.low is not None and self.low >= self.threshold:
            raise UsageError(
                f"low is {self.low} and threshold {self.threshold}, but low scores are those below the threshold. "
                "Lower the one or raise the other."
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """Everyone who is known, in the order of their births.

    Attributes:
        ids: [M] int64, from 1.
        classes: [M] int64.
        scores: [M] float32, when last seen without having been missing.
        mean: [M, 8] float64, states of `kalman`.
        covariance: [M, 8, 8] float64.
        embedding: [M, D] float32 of unit length, a running mean; D is 0 where there are none.
        start: [M] int64, frame in which they were seen first, from 1.
        seen: [M] int64, and last.
        tracked: [M] bool, whether they were seen in the last frame.
        confirmed: [M] bool, whether they may be told: seen twice, or in the first frame.
        expired: [M] bool, whether they are forgotten when missed once more.
        next_id: The number of the next one to be born.
        frame: The number of the last frame.
    """

    ids: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    embedding: np.ndarray
    start: np.ndarray
    seen: np.ndarray
    tracked: np.ndarray
    confirmed: np.ndarray
    expired: np.ndarray
    next_id: int = 1
    frame: int = 0

    @classmethod
    def empty(cls) -> "Memory":
        """Of a video that begins."""
        whole, real, flag = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, bool)
        mean, covariance, embedding = np.zeros((0, 8)), np.zeros((0, 8, 8)), np.zeros((0, 0), np.float32)
        return cls(whole, whole, real, mean, covariance, embedding, whole, whole, flag, flag, flag)


@dataclasses.dataclass(frozen=True, eq=False)
class _Seen:
    """The objects of one frame; `strong` and `weak` tell those that count, others are nobody."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    embedding: np.ndarray
    strong: np.ndarray
    weak: np.ndarray


def step(found: Mapping[str, Any], memory: Memory, rules: Rules) -> tuple[np.ndarray, np.ndarray, Memory]:
    """Gives the objects of one frame their identities.

    Args:
        found: "boxes" [N, 4] left, top, right, bottom in pixels of the image, "scores" [N], "classes" [N] and, unless
            overlap and motion shall do, "embeddings" [N, D]. Boxes without width, height or place are nobody.
        memory: What the last step returned.
        rules: When an object is someone who was there before.

    Returns:
        [N] int64 identities, 0 for objects that are nobody, not yet confirmed, or not to be told; [N, 4] float32 boxes,
        of those with an identity as the filter has them, of others as found; and the new memory.

    Raises:
        UsageError: Embeddings have another length than those of the frames before.
    """
    seen = _seen(found, memory, rules)
    before = _predicted(memory, seen, rules)
    match = _match(before, seen, rules)
    born = seen.strong & (match < 0) & (seen.scores >= (rules.threshold if rules.birth is None else rules.birth))
    place = np.where(born, len(memory.ids) + np.cumsum(born) - 1, match)
    now = _with_births(_updated(before, match, seen, rules), seen, born)
    kept = _kept(now, rules)
    boxes = kalman.boxes_of(now.mean)
    ids = np.append(np.where(kept & now.confirmed & _fit_to_tell(boxes, rules), now.ids, 0), 0)[place]
    given = np.asarray(found["boxes"], np.float32).reshape(-1, 4)
    boxes = np.where((ids > 0)[:, None], np.append(boxes, np.zeros((1, 4)), axis=0)[place], given)
    return ids, boxes.astype(np.float32), _kept_rows(now, kept, rules)


def _seen(found: Mapping[str, Any], memory: Memory, rules: Rules) -> _Seen:
    boxes = np.asarray(found["boxes"], np.float32).reshape(-1, 4)
    with np.errstate(over="ignore", invalid="ignore"):
        sides = (boxes[:, 2:] - boxes[:, :2]).astype(np.float64)  # in float32 until here, as the original's are
    sound = (np.isfinite(sides) & (sides > 0)).all(axis=1)
    corner = np.where(sound[:, None], boxes[:, :2], 0).astype(np.float64)
    scores = np.asarray(found["scores"], np.float32)
    # Who is exactly at the threshold is neither, as in the original.
    low = rules.threshold if rules.low is None else rules.low
    return _Seen(
        np.concatenate([corner, corner + np.where(sound[:, None], sides, 1)], axis=1),
        scores,
        np.asarray(found["classes"], np.int64),
        _embeddings(found, memory, rules),
        sound & (scores > rules.threshold),
        sound & (scores > low) & (scores < rules.threshold),
    )


def _embeddings(found: Mapping[str, Any], memory: Memory, rules: Rules) -> np.ndarray:
    """[N, D] of unit length, those that are no numbers as zeros, which are as far from all; D is 0 where none count."""
    count, known = len(found["scores"]), memory.embedding.shape[1]
    given = found.get("embeddings") if rules.use_embedding else None
    if not count:
        return np.zeros((0, known), np.float32)
    values = np.zeros((count, 0), np.float32) if given is None else np.asarray(given, np.float32)
    if len(memory.ids) and values.shape[1] != known:
        raise UsageError(
            f"Embeddings are of {values.shape[1]} numbers, and {known} in the frames before. "
            "Start a new memory where the model or its rules change."
        )
    return _unit(np.where(np.isfinite(values).all(axis=1, keepdims=True), values, 0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _predicted(memory: Memory, seen: _Seen, rules: Rules) -> Memory:
    """Everyone one frame later, but for those who are not confirmed; the missing keep their height."""
    mean, covariance = memory.mean.copy(), memory.covariance.copy()
    if rules.use_motion:
        mean[~memory.tracked, 7] = 0
        known = memory.confirmed
        mean[known], covariance[known] = kalman.predict(mean[known], covariance[known])
    embedding = memory.embedding if len(memory.ids) else seen.embedding[:0]
    return dataclasses.replace(memory, mean=mean, covariance=covariance, embedding=embedding, frame=memory.frame + 1)


def _match(memory: Memory, seen: _Seen, rules: Rules) -> np.ndarray:
    """[N] row in the memory of each object, -1 for none: stage after stage takes of who is left."""
    match, free = np.full(len(seen.scores), -1), np.ones(len(memory.ids), bool)
    for tracks, objects, distances, limit in _stages(memory, seen, rules):
        rows, columns = np.flatnonzero(tracks & free), np.flatnonzero(objects & (match < 0))
        alike = memory.classes[rows][:, None] == seen.classes[columns][None]
        chosen = matching.assign(np.where(alike, distances(rows, columns), np.inf), limit)
        match[columns[chosen[chosen >= 0]]] = rows[chosen >= 0]
        free[rows[chosen >= 0]] = False
    return match


_Distances = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _stages(memory: Memory, seen: _Seen, rules: Rules) -> Iterator[tuple[np.ndarray, np.ndarray, _Distances, float]]:
    """Who can be which objects, by what distance of rows and objects, below what limit."""
    boxes, measured = kalman.boxes_of(memory.mean), kalman.measurements_of(seen.boxes)

    def unlike(rows: np.ndarray, objects: np.ndarray) -> np.ndarray:
        look = matching.cosine_distances(memory.embedding[rows], seen.embedding[objects])
        if not rules.use_motion:
            return look
        motion = kalman.distances(memory.mean[rows], memory.covariance[rows], measured[objects])
        return matching.fuse(look, motion, rules.weight, kalman.GATES[4])

    def apart(rows: np.ndarray, objects: np.ndarray) -> np.ndarray:
        return 1 - matching.overlaps(boxes[rows], seen.boxes[objects])

    known, last = memory.confirmed, memory.confirmed & memory.tracked
    has_look = memory.embedding.shape[1] > 0
    yield known, seen.strong, *((unlike, rules.embedding_limit) if has_look else (apart, rules.alone_limit))
    yield last, seen.strong, apart, rules.tracked_limit
    yield last, seen.weak, apart, rules.low_limit
    yield ~known, seen.strong, apart, rules.unconfirmed_limit


def _updated(memory: Memory, match: np.ndarray, seen: _Seen, rules: Rules) -> Memory:
    """Everyone, as the objects are that they were matched with. Who was missing keeps the score from before."""
    objects = np.flatnonzero(match >= 0)
    rows = match[objects]
    mean, covariance, embedding = memory.mean.copy(), memory.covariance.copy(), memory.embedding.copy()
    measured = kalman.measurements_of(seen.boxes[objects])
    if rules.use_motion:
        mean[rows], covariance[rows] = kalman.update(mean[rows], covariance[rows], measured)
    else:
        mean[rows, :4] = measured
    strong = seen.strong[objects]  # of others, what is seen is often someone in front
    smooth = rules.smoothing * embedding[rows[strong]] + (1 - rules.smoothing) * seen.embedding[objects[strong]]
    embedding[rows[strong]] = _unit(smooth)
    scores, last, tracked = memory.scores.copy(), memory.seen.copy(), np.zeros(len(memory.ids), bool)
    stayed = memory.tracked[rows]
    scores[rows[stayed]] = seen.scores[objects[stayed]]
    last[rows], tracked[rows] = memory.frame, True
    return dataclasses.replace(
        memory,
        mean=mean,
        covariance=covariance,
        embedding=embedding,
        scores=scores,
        seen=last,
        tracked=tracked,
        confirmed=memory.confirmed | tracked,
    )


def _with_births(memory: Memory, seen: _Seen, born: np.ndarray) -> Memory:
    """And those who are new, behind the others; in the first frame they are confirmed at once."""
    count = int(born.sum())
    mean, covariance = kalman.initiate(kalman.measurements_of(seen.boxes[born]))
    frames, yes = np.full(count, memory.frame), np.ones(count, bool)
    new = {
        "ids": memory.next_id + np.arange(count),
        "classes": seen.classes[born],
        "scores": seen.scores[born],
        "mean": mean,
        "covariance": covariance,
        "embedding": seen.embedding[born],
        "start": frames,
        "seen": frames,
        "tracked": yes,
        "confirmed": yes & (memory.frame == 1),
        "expired": ~yes,
    }
    rows = {name: np.concatenate([getattr(memory, name), values]) for name, values in new.items()}
    return dataclasses.replace(memory, **rows, next_id=memory.next_id + count)


def _kept(memory: Memory, rules: Rules) -> np.ndarray:
    """[M] bool: who is remembered. Of two of one place, one seen and one missing, only who was followed longer."""
    kept = memory.tracked | (memory.confirmed & ~memory.expired)
    here, gone = np.flatnonzero(memory.tracked), np.flatnonzero(kept & ~memory.tracked)
    boxes, age = kalman.boxes_of(memory.mean), memory.seen - memory.start
    same = matching.overlaps(boxes[here], boxes[gone]) > rules.duplicates
    same &= memory.classes[here][:, None] == memory.classes[gone][None]
    older = age[here][:, None] > age[gone][None]
    kept[gone[(same & older).any(axis=0)]] = False
    kept[here[(same & ~older).any(axis=1)]] = False
    return kept


def _kept_rows(memory: Memory, kept: np.ndarray, rules: Rules) -> Memory:
    """Who is remembered, and who of them is late: they can still be matched in the next frame, but not lost again."""
    missed = memory.frame - memory.seen
    # Who is missing since this frame is not late yet, however short the buffer.
    late = ~memory.tracked & (missed > max(rules.buffer, 1))
    memory = dataclasses.replace(memory, expired=memory.expired | late)
    rows = [field.name for field in dataclasses.fields(memory) if field.name not in ("next_id", "frame")]
    return dataclasses.replace(memory, **{name: getattr(memory, name)[kept] for name in rows})


def _fit_to_tell(boxes: np.ndarray, rules: Rules) -> np.ndarray:
    """[M] bool: whose box is neither too small nor too wide."""
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    fit = np.ones(len(boxes), bool)
    if rules.min_area is not None:
        fit &= width * height > rules.min_area
    if rules.max_aspect is not None:
        fit &= width <= rules.max_aspect * height
    return fit
