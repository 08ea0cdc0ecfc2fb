"""Copy-paste: objects of one image on another (Ghiasi, Cui, Srinivas, Qian, Lin, Cubuk, Le, Zoph 2021).

By their patches where they have some, by their boxes otherwise. Who is mostly hidden then is left out.
"""

from collections.abc import Sequence

import numpy as np

from centernet_tf.data.seams import joined
from centernet_tf.geometry import patches
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Rows
from centernet_tf.properties.rows import select

CHOSEN = 0.5  # probability of each object of the other image
SEEN = 0.3  # part of an object below, under which it counts as hidden
WHOLE = 32  # points of a box along each axis that are looked at, where there are no patches
COVERED = 0.5  # value of a patch from which a pixel is the object's


def pasted(
    random: np.random.Generator,
    below: tuple[np.ndarray, Rows],
    above: tuple[np.ndarray, Rows],
    fields: Sequence[Field],
) -> tuple[np.ndarray, Rows]:
    """Some objects of one input on another.

    Args:
        random: Source of chance.
        below: [h, w, 3] pixels, and rows in pixels of it.
        above: The same of the image whose objects are pasted.
        fields: What the rows are.

    Returns:
        The pixels, and the rows of who is left below, then of who was pasted. Patches below lose what is hidden.
    """
    (ground, rows), (source, theirs) = below, above
    fit = ~theirs["crowd"] & ~theirs["ignored"]
    chosen = np.flatnonzero(fit & (random.random(len(fit)) < CHOSEN))
    covers = shapes(theirs, fields, ground.shape[:2], chosen)
    chosen = chosen[covers.any(axis=(1, 2))]
    hidden = covers.any(axis=0)
    image = np.where(hidden[..., None], source, ground)
    count = len(theirs["boxes"])
    return image, joined([uncovered(rows, fields, hidden), select(theirs, fields, chosen, count)], fields)


def shapes(rows: Rows, fields: Sequence[Field], size: tuple[int, int], chosen: np.ndarray) -> np.ndarray:
    """[M, h, w] bool: which pixels of an input of this height and width some objects cover, of rows [M].

    By their patches, or else their boxes.
    """
    height, width = size
    lines, columns = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    values, boxes = _patches(rows, fields)[chosen], rows["boxes"][chosen].astype(np.float32)
    made = np.zeros((len(values), height, width), bool)
    for one, patch, box in zip(made, values, boxes):
        one[:] = patches.paste(patch, box, columns, lines) > COVERED
    return made


def uncovered(rows: Rows, fields: Sequence[Field], hidden: np.ndarray) -> Rows:
    """The rows of objects that are seen well enough, without what is hidden, [h, w] bool."""
    values, kept, shown = _patches(rows, fields), [], []
    height, width = hidden.shape
    for row, (patch, box) in enumerate(zip(values, rows["boxes"].astype(np.float32))):
        columns, lines = (patches.places(low, high, patch.shape[0]) for low, high in zip(box[:2], box[2:]))
        x, y = np.round(columns).astype(int), np.round(lines).astype(int)
        inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
        covered = hidden[np.clip(y, 0, height - 1)[:, None], np.clip(x, 0, width - 1)] & inside
        left = np.where(covered, 0, patch)
        seen, own = (left * inside).sum(), (patch * inside).sum()
        shown.append(left)
        if seen >= SEEN * own:
            kept.append(row)
    made = dict(rows)
    for field in fields:
        if field.motion == "patches" and len(shown):
            made[field.name] = np.stack(shown).astype(rows[field.name].dtype)
    return select(made, fields, np.array(kept, int), len(values))


def _patches(rows: Rows, fields: Sequence[Field]) -> np.ndarray:
    """[N, S, S] float32 of the first field of patches; of whole boxes where there is none."""
    for field in fields:
        if field.motion == "patches":
            return rows[field.name].astype(np.float32)
    return np.ones((len(rows["boxes"]), WHOLE, WHOLE), np.float32)
