"""Interactions: what one object of an image does to another, such as riding it."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pydantic

from centernet_tf.properties.fields import Field
from centernet_tf.properties.property import Answer, Property, Rows, Size

OBJECTS, VERBS = "image/interaction/objects", "image/interaction/verb"  # keys of the records


class Interactions(Property):
    """Pairs of objects with a verb.

    Rows, of pairs: "pairs" [P, 2] int32, rows of subject and object among the image's objects; an object of -1 where
    the verb has none, such as walking. "verbs" [P] int32, 0-based.

    Attributes:
        verbs: Their names, in order.
        allowed: {verb: names of the classes that its objects may have}; none where the verb has no object. Verbs that
            it does not name go with all.
    """

    name = "interactions"
    keys: ClassVar = {OBJECTS: "int", VERBS: "int"}
    answers = (
        Answer("pairs", "interaction_subjects", "values", "rows of subjects", "subject", level="pair", column=0),
        Answer(
            "pairs", "interaction_objects", "values", "rows of objects, -1 for none", "object", level="pair", column=1
        ),
        Answer("verbs", "interaction_verbs", "values", "verbs, from 0", "verb", level="pair"),
        Answer("pair_scores", "interaction_scores", "scores", "score of each pair", "pair score", level="pair"),
    )

    verbs: tuple[str, ...] = ()
    allowed: dict[str, tuple[str, ...]] = pydantic.Field(default_factory=dict)

    @property
    def fields(self) -> tuple[Field, ...]:
        return (
            Field("pairs", "int32", (2,), "fixed", -1, "rows of subject and object", level="pair", refers=True),
            Field("verbs", "int32", (), "fixed", -1, "what the one does to the other", level="pair"),
            Field("observed", "bool", (), "fixed", True, "somebody looked what the object does"),
        )

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        del size
        pairs, verbs = lists[OBJECTS].reshape(-1, 2).astype(np.int32), lists[VERBS].astype(np.int32)
        return {"pairs": pairs, "verbs": verbs, "observed": np.ones(len(boxes), bool)}

    def pack(self, rows: Rows, size: Size) -> Mapping[str, Sequence[Any]]:
        del size
        return {OBJECTS: rows["pairs"].ravel(), VERBS: rows["verbs"]}
