"""Why objects, pairs and images cannot be used, and what can be said of any field by its declaration."""

import dataclasses
from collections.abc import Iterable

import numpy as np

from centernet_tf.properties.fields import Field, Rows


@dataclasses.dataclass(frozen=True)
class Fault:
    """Why an object, a pair or an image cannot be used.

    Attributes:
        reason: Short and the same for all of its kind, to be counted: "zero area".
        detail: What was found, to be read behind the object's name: "has zero area: left 181, ...".
    """

    reason: str
    detail: str


class BrokenListsError(ValueError):
    """Stored lists that make no rows.

    Attributes:
        code: The check of an inspection that this belongs to.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


NOT_FINITE = "not a number"
LOST = "pair of an object that is not there"


def endless(rows: Rows, fields: Iterable[Field], count: int) -> list[Fault | None]:
    """The first number of each of `count` objects or pairs that is NaN or infinite, if any."""
    found: list[Fault | None] = [None] * count
    for field in fields:
        values = np.asarray(rows[field.name])
        if values.dtype.kind == "f":
            for row in np.unique(np.argwhere(~np.isfinite(values))[:, 0]).tolist():
                found[row] = found[row] or Fault(NOT_FINITE, f"has {field.name} that are not finite: {field.meaning}")
    return found


def endless_of_image(rows: Rows, fields: Iterable[Field]) -> Fault | None:
    """The first field of an image with a number that is NaN or infinite, if any."""
    for field in fields:
        values = np.asarray(rows[field.name])
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return Fault(NOT_FINITE, f"has {field.name} that are not finite: {field.meaning}")
    return None


def strangers(rows: Rows, fields: Iterable[Field], pairs: int, count: int) -> list[Fault | None]:
    """The first row that each of `pairs` pairs names, but that is none of `count` objects, nor -1, if any."""
    found: list[Fault | None] = [None] * pairs
    for field in fields:
        named = np.asarray(rows[field.name]).reshape(pairs, -1) if field.refers and pairs else np.zeros((0, 1), int)
        for pair, column in np.argwhere((named < -1) | (named >= count)).tolist():
            detail = f"names object {named[pair, column]}, but the image has {count}, numbered from 0; -1 is for none"
            found[pair] = found[pair] or Fault(LOST, detail)
    return found
