"""Tubes to tubelets: objects with one identity and one class in every frame of a window, on the host."""

from collections.abc import Mapping, Sequence

import numpy as np

from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.property import Rows
from centernet_tf.properties.rows import select
from centernet_tf.properties.tracks import FIELDS


def join(frames: Mapping[int, Rows], offsets: Sequence[int]) -> Rows:
    """Makes tubelets of the boxes of a window.

    Args:
        frames: {number from the key frame: rows of that frame, "boxes" [N, 4], "classes" [N] and "track_ids" [N] among
            them, -1 where nobody knows who it is; "ignored" [N] bool where there are ignored objects}.
        offsets: The numbers of the frames of a window, in order, 0 among them.

    Returns:
        The rows of the key frame of those who are in all frames with the same class, in its order, with "tubelets"
        [N, K, 4] float32. An ignored object stays with its box in the key frame for all. Where the window is one frame,
        all rows stay.
    """
    present = frames[0]
    ignored, who = _ignored(present), _who(present)
    seen = [{one: row for row, one in enumerate(_who(frames[offset]))} for offset in offsets]
    followed = [len(offsets) == 1 or (one[0] >= 0 and all(one in places for places in seen)) for one in who]
    kept = np.flatnonzero(ignored | np.array(followed, bool))
    tubelets = np.repeat(present["boxes"][kept].astype(np.float32)[:, None], len(offsets), axis=1)
    for place, row in enumerate(kept):
        if followed[row] and not ignored[row] and len(offsets) > 1:
            tubelets[place] = [frames[offset]["boxes"][places[who[row]]] for offset, places in zip(offsets, seen)]
    known = [field for field in (*SHARED, *FIELDS) if field.name in present]
    return {**select(present, known, kept, len(who)), "tubelets": tubelets}


def is_whole(frames: Mapping[int, Rows], offsets: Sequence[int]) -> bool:
    """Whether no tube begins or ends within a window, and there is at least one (official code, `valid_frames`).

    Arguments as of `join`. Who nobody knows is in no tube, so a window of several frames that shows him is not whole;
    ignored objects do not count.
    """
    seen = []
    for offset in offsets:
        wanted = np.flatnonzero(~_ignored(frames[offset]))
        who = _who(frames[offset])
        seen.append({who[row] for row in wanted})
    unknown = len(offsets) > 1 and any(number < 0 for frame in seen for number, _ in frame)
    return bool(seen[0]) and not unknown and all(frame == seen[0] for frame in seen)


def _who(rows: Rows) -> list[tuple[int, int]]:
    """(identity, class) of each object."""
    return list(zip(rows["track_ids"].tolist(), rows["classes"].tolist()))


def _ignored(rows: Rows) -> np.ndarray:
    return rows["ignored"] if "ignored" in rows else np.zeros(len(rows["boxes"]), bool)
