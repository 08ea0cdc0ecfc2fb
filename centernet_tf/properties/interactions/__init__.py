"""Interactions: who does what to which object."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from centernet_tf.properties.fields import Field
from centernet_tf.properties.interactions import draw, records, survey
from centernet_tf.properties.interactions.scores import InteractionMetric, Vocabulary
from centernet_tf.properties.metric import Metric
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.property import Answer, Fault, Look, Property, Rows, Size, Survey


class Interactions(Property):
    """Verbs between two objects of an image, or of one alone.

    Rows: "pairs" [P, 2] int32, the rows of subject and object among the image's objects, -1 for the object of a verb
    that has none, such as to walk; "verbs" [P] int32, from 0; "observed" [N] bool, whether somebody looked what the
    object does, so that it does nothing beside its pairs. Found pairs have "pair_scores" [P] float32 too, in 0..1.
    """

    name = "interactions"
    keys = records.KEYS
    checks = survey.CHECKS
    broken = "bad_interactions"
    answers = (
        Answer("pairs", "interaction_subjects", "values", "rows of subjects", "subject", level="pair", column=0),
        Answer(
            "pairs", "interaction_objects", "values", "rows of objects, -1 for none", "object", level="pair", column=1
        ),
        Answer("verbs", "interaction_verbs", "values", "verbs, from 0", "verb", level="pair"),
        Answer("pair_scores", "interaction_scores", "scores", "score of each pair", "pair score", level="pair"),
    )

    verbs: tuple[str, ...] = ()
    """Names of the verbs in the order of the numbers."""

    allowed: dict[str, tuple[str, ...]] = pydantic.Field(default={})
    """Names of the classes that may be the object of a verb, such as HICO-DET's 600 pairs; none where the verb has no
    object. Verbs that are not here may have any object.
    """

    actions: tuple[str, ...] = ()
    """What each verb is a part of, where several tell the roles of one action, as hit_instr and hit_obj of V-COCO do.
    Empty for the verbs themselves.
    """

    trained: dict[str, dict[str, pydantic.NonNegativeInt]] = pydantic.Field(default={})
    """Pairs of each verb and class of its object in the training set that belongs to these records, by which the metric
    of HICO-DET calls them rare. Empty where nobody says.
    """

    threshold: float = pydantic.Field(0.1, ge=0, le=1)
    """Score from which found pairs are drawn."""

    @pydantic.model_validator(mode="after")
    def _whole(self) -> "Interactions":
        if len(set(self.verbs)) < len(self.verbs) or not all(name.strip() for name in self.verbs):
            raise ValueError(f"verbs are {list(self.verbs)!r:.200}; expected a name for each, and none twice")
        for what, table in (("allowed", self.allowed), ("trained", self.trained)):
            if unknown := [name for name in table if name not in self.verbs]:
                raise ValueError(f"{what} tells of {unknown[0]!r:.60}, which is no verb: {', '.join(self.verbs):.200}")
        if self.actions and len(self.actions) != len(self.verbs):
            raise ValueError(f"{len(self.actions)} actions for {len(self.verbs)} verbs; expected one for each, or none")
        return self

    @pydantic.model_serializer(mode="wrap")
    def _plain_where_usual(self, values: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        usual = {"allowed": {}, "actions": [], "trained": {}, "threshold": 0.1}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values(self).items()}
        return {name: value for name, value in plain.items() if name not in usual or value != usual[name]}

    @property
    def fields(self) -> tuple[Field, ...]:
        return records.FIELDS

    def table(self, names: Sequence[str]) -> np.ndarray:
        """[V, C] bool, whether a class may be the object of a verb, for classes of these names."""
        anything = tuple(names)
        return np.array(
            [[name in self.allowed.get(verb, anything) for name in names] for verb in self.verbs], bool
        ).reshape(len(self.verbs), len(names))

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        return records.unpack(lists, len(boxes), self.verbs)

    def pack(self, rows: Rows, size: Size) -> dict[str, Sequence[Any]]:
        return records.pack(rows)

    def fill(self, rows: Rows, count: int) -> Rows:
        return super().fill(records.checked_shapes({"pairs": (), "verbs": (), **rows}), count)

    def pair_faults(self, rows: Rows, count: int) -> list[Fault | None]:
        return records.pair_faults(rows["pairs"], rows["verbs"], count, self.verbs)

    def count(self, rows: Rows, size: Size) -> dict[str, int]:
        return records.count(rows, self.verbs)

    def tell(self, counts: Mapping[str, int]) -> str:
        return records.tell(counts, self.verbs)

    def difference(self, other: Property) -> str:
        if self.verbs == other.verbs:
            return ""
        return f"verbs {', '.join(self.verbs):.200} and {', '.join(other.verbs):.200}"

    def survey(self, notebook: Notebook) -> Survey:
        return survey.InteractionSurvey(notebook, self.verbs, self.allowed)

    def draw(self, canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
        return draw.draw_pairs(canvas, rows, self.verbs, self.threshold)

    def image_to_json(self, rows: Rows) -> dict[str, Any]:
        return {"interactions": records.to_json(rows, self.verbs)} if "pairs" in rows else {}

    def mismatch(self, model: Property) -> str:
        unknown = [verb for verb in model.verbs if verb not in self.verbs]
        return f"verbs of the model that the records lack: {', '.join(unknown)[:200]}" if unknown else ""

    def scored_as(self, model: Property) -> "Interactions":
        if model.verbs == self.verbs:
            return self
        told = {name: getattr(self, name) for name in Interactions.model_fields}
        return _Renumbered(**told, found=model.verbs)

    def metrics(self, names: Sequence[str], digits: int | None = None, **options: Any) -> list[Metric]:
        return [InteractionMetric(self._words(names), digits)]

    def _words(self, names: Sequence[str]) -> Vocabulary:
        alone = frozenset(verb for verb in self.verbs if self.allowed.get(verb) == ())
        return Vocabulary(tuple(names), self.verbs, self.actions or self.verbs, alone, self.trained)


class _Renumbered(Interactions):
    """Interactions of records, scored for a model whose verbs are others or in another order.

    Attributes:
        found: The verbs of the model, each of which the records have.
    """

    found: tuple[str, ...] = pydantic.Field(exclude=True)

    def metrics(self, names: Sequence[str], digits: int | None = None, **options: Any) -> list[Metric]:
        numbers = [self.verbs.index(verb) for verb in self.found]
        return [InteractionMetric(self._words(names), digits, numbers)]
