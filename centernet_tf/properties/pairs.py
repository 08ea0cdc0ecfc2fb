"""Pairs of objects: what one does to another, as rows that name two rows of the objects."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Pairs:
    """What ties two objects of one image together. The arrays are copies and cannot be written to.

    Attributes:
        rows: [P, 2] int64, which rows of the detections are the subject and the object; -1 for no object, where a verb
            has none.
        verbs: [P] int64, 0-based; a property of the detections names them.
        scores: [P] float32, confidence from 0 to 1.

    Raises:
        ValueError: Shapes disagree, or a number is NaN or infinite.
    """

    rows: np.ndarray
    verbs: np.ndarray
    scores: np.ndarray

    def __post_init__(self) -> None:
        for name, values in (
            ("rows", whole_numbers(self.rows, "pairs").reshape(-1, 2)),
            ("verbs", whole_numbers(self.verbs, "verbs")),
            ("scores", np.array(self.scores, np.float32)),
        ):
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        if not self.verbs.shape == self.scores.shape == (len(self.rows),) or not np.isfinite(self.scores).all():
            raise ValueError(
                f"Pairs: {len(self.rows)} pairs with verbs {self.verbs.shape} and scores {self.scores.shape}; expected "
                "a verb and a finite score for each."
            )

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, chosen: np.ndarray, count: int) -> "Pairs":
        """The pairs all of whose members are among `chosen` rows of `count` detections, numbered as these are."""
        places = np.full(count + 1, -1)  # the last is that of -1, no object
        places[chosen[::-1]] = np.arange(len(chosen))[::-1]  # of a row that is chosen twice, the first counts
        kept = ((places[self.rows] >= 0) | (self.rows < 0)).all(axis=1)
        return Pairs(places[self.rows[kept]], self.verbs[kept], self.scores[kept])


def whole_numbers(values: Any, what: str) -> np.ndarray:
    """Indices as int64, a copy; models may give them as floats, a fraction is an error."""
    values = np.asarray(values)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.int64)
    if (whole != values).any():
        raise ValueError(f"Detections: {what} must be integers, got {values.tolist()[:10]}.")
    return whole
