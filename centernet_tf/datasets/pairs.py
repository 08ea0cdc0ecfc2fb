"""Pairs of objects on their way into records: those that can be used, and why not the others."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Fault, Property, Rows

LOST = "pair of an object that is left out"


class UsablePairs(NamedTuple):
    """What `usable_pairs` returns.

    Attributes:
        rows: All rows, of which those of pairs hold the usable ones.
        faults: Why the others are left out, with whole sentences as details.
        written: How many are usable.
    """

    rows: Rows
    faults: tuple[Fault, ...]
    written: int


def usable_pairs(rows: Rows, keep: np.ndarray, properties: Sequence[Property]) -> UsablePairs:
    """Sorts the pairs of an image into usable and not.

    Args:
        rows: Filled rows of all properties.
        keep: [N] bool, the objects that can be used.
        properties: Whose pairs are meant; each has as many as any other.
    """
    whole, faults, written = dict(rows), [], 0
    for one in properties:
        fields = pair_fields([one])
        if not fields:
            continue
        found = one.pair_faults(rows, len(keep))
        for place, own in enumerate(found):
            if own is None and (lost := _lost(rows, fields, place, keep)) is not None:
                found[place] = Fault(LOST, f"has object {lost}, which cannot be used")
        told = (f"pair {place} of {len(found)}" for place in range(1, len(found) + 1))
        faults += [Fault(own.reason, f"{name} {own.detail}") for name, own in zip(told, found) if own is not None]
        sound = np.array([own is None for own in found], bool)
        written += int(sound.sum())
        whole |= {field.name: rows[field.name][sound] for field in fields}
    return UsablePairs(whole, tuple(faults), written)


def pair_fields(properties: Sequence[Property]) -> list[Field]:
    """The fields that pairs have."""
    return [field for one in properties for field in one.fields if field.level == "pair"]


def count_pairs(rows: Rows, properties: Sequence[Property]) -> int:
    """Pairs that an item gives, before they are looked at."""
    fields = {one.name: next(iter(pair_fields([one])), None) for one in properties}
    return sum(len(np.asarray(rows[field.name])) for field in fields.values() if field and field.name in rows)


def _lost(rows: Rows, fields: Sequence[Field], place: int, keep: np.ndarray) -> int | None:
    """The first object of a pair that is not kept."""
    named = [row for field in fields if field.refers for row in np.ravel(rows[field.name][place]).tolist()]
    return next((row for row in named if 0 <= row < len(keep) and not keep[row]), None)
