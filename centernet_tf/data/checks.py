"""What must hold of the objects of a record before anything is made of them."""

from collections.abc import Sequence

import numpy as np

from centernet_tf.errors import brief
from centernet_tf.properties.property import Rows

LARGEST_SIDE = 10**6  # of an image in pixels
LARGEST = 1e10  # beyond any pixel, area of a box or distance


def check_classes(rows: Rows, classes: Sequence[str]) -> None:
    """Raises ValueError where an object has a class that is not declared, or the name of another class.

    Only ignored objects may have no class. What the source calls an object may be finer than its class, but it is no
    other class of the list: then labels and list are not of the same data.
    """
    numbers = rows["classes"]
    wrong = (numbers < np.where(rows["ignored"], -1, 0)) | (numbers >= len(classes))
    if wrong.any():
        row = int(wrong.argmax())
        label, name = int(numbers[row]) + 1, rows["names"][row]
        what = f"class {name!r}" if label == 0 and name else f"label {label}"
        raise ValueError(
            f"object {row + 1} has {what}, but {len(classes)} classes are declared, labels 1 to {len(classes)}: "
            f"{', '.join(classes):.200}"
        )
    if renamed := wrong_names(rows, classes):
        row = renamed[0]
        raise ValueError(
            f"object {row + 1} is called {rows['names'][row]!r}, but its label {int(numbers[row]) + 1} is "
            f"{classes[numbers[row]]!r} of the {len(classes)} classes that are declared: {', '.join(classes):.200}"
        )


def wrong_names(rows: Rows, classes: Sequence[str]) -> list[int]:
    """The objects that are called as a class of the list is, but have the label of another."""
    places = {name: index for index, name in enumerate(classes)}
    return [
        row
        for row, (name, number, ignored) in enumerate(zip(rows["names"], rows["classes"], rows["ignored"]))
        if not ignored and 0 <= number < len(classes) and places.get(name, number) != number
    ]


def check_numbers(rows: Rows) -> None:
    """Raises ValueError where a number is not finite, or further from 0 than pixels, their squares and metres are.

    One such object would make every loss of its batch NaN.
    """
    for name, values in rows.items():
        values = np.atleast_1d(values)
        if values.dtype.kind != "f" or (sound := np.abs(values) <= LARGEST).all():
            continue
        row = int(np.argwhere(~sound)[0, 0])
        raise ValueError(
            f"{name} {row + 1} of {len(values)} has a number that is not finite or impossibly large: "
            f"{brief(np.asarray(values[row]).tolist(), 120)}"
        )
