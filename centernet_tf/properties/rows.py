"""Choosing objects of an image's rows, so that everything else in them still fits."""

from collections.abc import Sequence

import numpy as np

from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Rows


def select(rows: Rows, fields: Sequence[Field], index: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """The rows of some of an image's objects.

    Args:
        rows: Arrays by field; those of no field here are left out.
        fields: What the arrays are: of objects, of the image, or of pairs of objects.
        index: [M] int, the objects that are wanted, in their new order.
        count: Objects there were.

    Returns:
        The same arrays for M objects. What the image has one of stays; pairs keep their order, those that lost an
        object, or name none at all, are left out, and numbers of objects are the new ones; -1 stays, no object.
    """
    places = np.full(count + 1, -1)  # The last is that of -1, no object.
    places[np.asarray(index, np.int64)] = np.arange(len(index))
    places[count] = -1
    present = {field.name: field for field in fields if field.name in rows}
    kept = None  # [P] bool
    for field in present.values():
        if field.level == "pair" and field.refers:
            before, named = rows[field.name], places[rows[field.name]] >= 0
            axes = tuple(range(1, before.ndim))
            whole = (named | (before < 0)).all(axis=axes) & named.any(axis=axes)
            kept = whole if kept is None else kept & whole
    chosen = {}
    for name, field in present.items():
        values = rows[name]
        if field.level == "object":
            values = values[index]
        elif field.level == "pair" and kept is not None:
            values = values[kept]
        chosen[name] = places[values].astype(values.dtype) if field.refers else values
    return chosen
