"""The pairs of one image as readers of interactions gather them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError, brief
from centernet_tf.properties.property import Fault, Rows

FARTHEST = 1e30  # integers of JSON may be larger than any float
MOST_DIGITS = 18  # of an id, see `coco.MOST_DIGITS`
LARGEST = 10**6  # no image has as many objects; beyond, int32 would give another number
TWICE = "pair that is named twice"
UNREADABLE = "pair not readable"


class Pairs:
    """Gathers pairs in the order of the annotations; what stands there twice counts once.

    Attributes:
        faults: Why others are none, see `Item.pair_faults`.
        left_out: How many were left out on purpose, by reason.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.left_out: Counter[str] = Counter()
        self._triples: dict[tuple[int, int, int], None] = {}

    def add(self, subject: int, partner: int, verb: int) -> None:
        """Takes in a pair of objects by their rows, -1 for no object; whether they exist the writer checks."""
        if (subject, partner, verb) in self._triples:
            self.left_out[TWICE] += 1
        self._triples[subject, partner, verb] = None

    def refuse(self, detail: str, reason: str = UNREADABLE) -> None:
        """Notes a pair that cannot be used."""
        self.faults.append(Fault(reason, detail))

    def fields(self) -> dict[str, Any]:
        """The arguments of an `Item` that tell of them, but for its rows."""
        return {"pair_faults": tuple(self.faults), "pairs_left_out": dict(self.left_out)}

    def rows(self) -> Rows:
        """ "pairs" [P, 2] and "verbs" [P]."""
        triples = np.array(list(self._triples), np.int64).reshape(-1, 3)
        return {"pairs": triples[:, :2], "verbs": triples[:, 2]}


def whole_number(value: Any) -> int | None:
    """A number of an object or verb, also where it is text with white space around it, as PPDM's files have it.

    None where it is none, or too large for any.
    """
    if isinstance(value, str):
        text = value.strip()
        digits = text.removeprefix("-")
        value = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and abs(value) <= LARGEST else None


def whole_id(value: Any) -> int | None:
    """An id of COCO, which may be larger than what `whole_number` takes; None for what is none."""
    text = value.strip() if isinstance(value, str) else ""
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS:
        return int(text)
    return value if type(value) is int and abs(value) < 10**MOST_DIGITS else whole_number(value)


def read_box(values: Any) -> tuple[float, ...] | None:
    """Four numbers of a box; None for what is no box. Whether they make one the writer checks."""
    numbers = values if isinstance(values, list) and len(values) == 4 else [None]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
        return None
    return tuple(float(min(max(value, -FARTHEST), FARTHEST)) for value in numbers)


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UsageError: There is no such file.
        DataError: It is damaged.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file of annotations.")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:  # also what is not UTF-8
        raise DataError(f"{path}: not readable as JSON ({error}). Copy it again.") from error


def told(where: str, subject: Any, verb: Any, partner: Any) -> str:
    """A pair as the annotations have it, for faults."""
    return f"{where} (subject {brief(subject, 40)}, verb {brief(verb, 40)}, object {brief(partner, 40)})"
