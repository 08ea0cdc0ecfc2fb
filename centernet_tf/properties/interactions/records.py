"""Stored lists of interactions to rows and back, and what is wrong with pairs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.properties.faults import BrokenListsError, Fault
from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Rows

SUBJECT, OBJECT, VERB = (f"image/interaction/{name}" for name in ("subject", "object", "verb"))
OBSERVED = "image/object/observed"
KEYS = {SUBJECT: "int", OBJECT: "int", VERB: "int", OBSERVED: "int"}
ALONE = -1  # in place of the object of a verb that has none
FIELDS = (
    Field(
        "pairs",
        "int32",
        (2,),
        "fixed",
        ALONE,
        "rows of the subject and of the object; -1 for no object; both -1 in padded rows",
        level="pair",
        refers=True,
    ),
    Field("verbs", "int32", (), "fixed", -1, "0-based verb; -1 in padded rows", level="pair"),
    Field("observed", "bool", (), "fixed", True, "whether somebody looked what the object does"),
)
LISTED = 20


def unpack(lists: Rows, count: int, verbs: Sequence[str]) -> Rows:
    """Lists to rows, see `Interactions.unpack`; pairs that name what is not there are no rows."""
    subjects, objects, numbers, observed = (lists[key] for key in KEYS)
    if not len(subjects) == len(objects) == len(numbers):
        raise ValueError(
            f"{SUBJECT} holds {len(subjects)} numbers, {OBJECT} {len(objects)} and {VERB} {len(numbers)}; each pair "
            "needs all three"
        )
    if len(observed) not in (0, count):
        raise ValueError(f"{OBSERVED} holds {len(observed)} numbers for {count} boxes")
    pairs = np.stack([subjects, objects], axis=-1).reshape(-1, 2)
    for row, fault in enumerate(pair_faults(pairs, numbers, count, verbs)):
        if fault is not None and fault.reason != OWN_PARTNER:
            raise BrokenListsError("bad_interactions", f"pair {row + 1} of {len(pairs)} {fault.detail}")
    return {
        "pairs": pairs.astype(np.int32),
        "verbs": numbers.astype(np.int32),
        "observed": observed != 0 if len(observed) else np.ones(count, bool),
    }


def pack(rows: Rows) -> dict[str, Sequence[Any]]:
    """Rows to the lists that `unpack` reads."""
    pairs, observed = np.reshape(rows["pairs"], (-1, 2)), rows["observed"]
    lists = {SUBJECT: pairs[:, 0], OBJECT: pairs[:, 1], VERB: rows["verbs"]}
    return lists if observed.all() else {**lists, OBSERVED: observed.astype(np.int64)}


def checked_shapes(rows: Rows) -> Rows:
    """Raises ValueError where pairs and verbs do not fit each other; no pairs may have any shape."""
    pairs, verbs = np.asarray(rows["pairs"]), np.asarray(rows["verbs"])
    if not pairs.size and not verbs.size:
        return {**rows, "pairs": np.zeros((0, 2), np.int32), "verbs": np.zeros(0, np.int32)}
    if pairs.ndim != 2 or pairs.shape[1] != 2 or verbs.shape != (len(pairs),):
        raise ValueError(f"pairs have shape {pairs.shape} and verbs {verbs.shape}; expected [P, 2] and [P].")
    return rows


OWN_PARTNER = "pair of one object"


def pair_faults(pairs: np.ndarray, numbers: np.ndarray, count: int, verbs: Sequence[str]) -> list[Fault | None]:
    """What is wrong with each pair.

    Args:
        pairs: [P, 2] rows of subject and object.
        numbers: [P] of the verbs.
        count: Objects of the image.
        verbs: Names of the verbs.
    """
    return [_fault(*pair, verb, count, verbs) for pair, verb in zip(np.asarray(pairs).tolist(), numbers.tolist())]


def _fault(subject: int, partner: int, verb: int, count: int, verbs: Sequence[str]) -> Fault | None:
    for what, row, lowest in (("subject", subject, 0), ("object", partner, ALONE)):
        if not lowest <= row < count:
            rows = f"the image has {count} objects, numbered from 0" if count else "the image has none"
            hint = "; -1 stands for no object" if row < lowest and what == "object" else ""
            return Fault("pair of an object that is not there", f"names object {row} as its {what}, but {rows}{hint}")
    if not 0 <= verb < len(verbs):
        return Fault("unknown verb", f"has verb {verb}, but there are {len(verbs)}, from 0: {', '.join(verbs):.200}")
    if subject == partner:
        return Fault(OWN_PARTNER, f"has object {subject} as subject and as object of {verbs[verb]!r}")
    return None


def count(rows: Rows, verbs: Sequence[str]) -> dict[str, int]:
    """Pairs of each verb that has some."""
    numbers = Counter(np.asarray(rows["verbs"]).tolist())
    return {verbs[number]: how_often for number, how_often in sorted(numbers.items())}


def tell(counts: Mapping[str, int], verbs: Sequence[str]) -> str:
    """Pairs of each verb, the most frequent first."""
    if not counts:
        return "Interactions: none."
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    listed = ", ".join(f"{name} {number}" for name, number in ordered[:LISTED])
    more = f" and {len(ordered) - LISTED} more" if len(ordered) > LISTED else ""
    told = f"Interactions: {sum(counts.values())} pairs: {listed}{more}."
    missing = [name for name in verbs if name not in counts]
    return f"{told} Without any: {', '.join(missing[:LISTED])}." if missing else told


def to_json(rows: Rows, verbs: Sequence[str]) -> list[dict[str, Any]]:
    """ "subject" and "object" (rows of the detections; None for none), "verb", and of found pairs the "score"."""
    pairs = np.reshape(rows["pairs"], (-1, 2)).tolist()
    scores = np.float64(rows["pair_scores"]).round(5).tolist() if "pair_scores" in rows else [None] * len(pairs)
    return [
        {
            "subject": subject,
            "object": None if partner < 0 else partner,
            "verb": verbs[verb] if 0 <= verb < len(verbs) else str(verb),
            **({} if score is None else {"score": score}),
        }
        for (subject, partner), verb, score in zip(pairs, np.asarray(rows["verbs"]).tolist(), scores)
    ]
