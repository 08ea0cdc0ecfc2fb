"""Interactions of objects as points between them (PPDM, Liao et al., CVPR 2020).

Or, as an option, as points with a vector (IP-Net, Wang et al., CVPR 2020), see `vector`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pydantic
from keras import ops

from centernet_tf import losses
from centernet_tf.errors import UsageError, closest
from centernet_tf.points.centers import HEATMAP_BIAS, STRIDE, Centers
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term, unmirrored
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.interactions import Interactions
from centernet_tf.tasks.hoi import decode, targets, vector

SEEN = 1000  # Records that are looked at for verbs without objects.
PEOPLE = "person"
PAIRS = ("pairs", "verbs", "pair_scores")


def negated_x(values: Any) -> Any:
    """[..., 2] (x, y) of a mirror image as of the image."""
    return values * ops.cast(np.float32([-1, 1]), values.dtype)


class Hoi(TaskSettings):
    """Objects, and what one does to another.

    A verb of head offsets that has an object here and none there is told without one, too. See `vector.Limits`.
    """

    official: ClassVar[Mapping[str, str]] = {
        "hm_rel": "verb",
        "sub_offset": "subject_offset",
        "obj_offset": "object_offset",
    }
    forms: ClassVar[tuple[Mapping[str, str], ...]] = ({"hm_act_f": "verb", "wh_act": "vector"},)
    # IP-Net takes another detector's boxes.
    absent: ClassVar[Mapping[str, float]] = {"hm": -20.0, "wh": 0.0}

    head: Literal["offsets", "vector"] = "offsets"
    """What an interaction point tells: offsets, the ways to both objects (PPDM), or vector, how far they are apart
    (IP-Net).
    """

    verbs: tuple[str, ...] = ()
    """Names of the verbs in their order. Empty for those of the records."""

    allowed: dict[str, tuple[str, ...]] = pydantic.Field(default_factory=dict)
    """Names of the classes that the objects of a verb may have, {ride: [horse, bicycle]}, none where it has no object;
    verbs without an entry go with all. Empty for what the records say.
    """

    alone: tuple[str, ...] | None = None
    """Verbs that never have an object, such as walk. Null for those that have none in the first 1,000 records, or by
    allowed.
    """

    subject: tuple[str, ...] | None = None
    """Names of the classes that act. Null for person, or all classes where there is none of that name."""

    max_pairs: pydantic.PositiveInt = 64
    """How many pairs of an image are learnt at most."""

    pixels: Literal["image", "input"] = "image"
    """Of head vector: whose pixels the next two count, the image's as in the original, or those of the network's input,
    which ONNX and TFLite files need.
    """

    reach: float = pydantic.Field(vector.Limits.reach, gt=0)
    """Of head vector: how far, in pixels, the box between two centres may differ from the one that a point tells."""

    alone_reach: float = pydantic.Field(vector.Limits.alone_reach, gt=0)
    """Of head vector: how far, in pixels, the point of a verb without an object may lie from its subject's centre."""

    subject_score: float = pydantic.Field(vector.Limits.subject, ge=0, lt=1)
    """Of head vector: score that a subject must have."""

    object_score: float = pydantic.Field(vector.Limits.object, ge=0, lt=1)
    """Of head vector: score that an object must have."""

    point_score: float = pydantic.Field(vector.Limits.point, ge=0, lt=1)
    """Of head vector: score that an interaction point must have."""

    @pydantic.model_validator(mode="after")
    def _known_verbs(self) -> "Hoi":
        if len(set(self.verbs)) < len(self.verbs):
            raise ValueError(f"verbs are named twice in {', '.join(self.verbs)}. Name each once")
        for name in (*self.allowed, *(self.alone or ())) if self.verbs else ():
            if name not in self.verbs:
                raise ValueError(f"unknown verb {name!r}.{closest(name, self.verbs)} Known: {', '.join(self.verbs)}")
        for name in ("pixels", "reach", "alone_reach", "subject_score", "object_score", "point_score"):
            if self.head == "offsets" and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is a setting of head vector, and head is offsets. Leave it out")
        if self.subject == ():
            raise ValueError("no object would be a subject. Name classes, or leave it out")
        return self

    def complete(self, records: Any) -> "Hoi":
        known = records.property(Interactions.name)
        if known is None:
            raise UsageError(
                f"{records.directory}: its dataset.yaml has no interactions, which task 'hoi' needs. Write the records "
                "with interactions, from annotations that have them."
            )
        if self.verbs and self.verbs != known.verbs:
            raise UsageError(
                f"hoi.verbs: {', '.join(self.verbs)}, but {records.directory} has {', '.join(known.verbs)}. Leave the "
                "setting out."
            )
        found = {"verbs": known.verbs, "allowed": self.allowed or dict(known.allowed)}
        found["alone"] = _alone(records, known.verbs) if self.alone is None else self.alone
        try:
            return type(self).model_validate({**self.model_dump(), **found})
        except pydantic.ValidationError as error:
            raise UsageError(f"hoi: {error.errors()[0]['ctx']['error']}.") from None

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["Hoi", list[str]]:
        found = {"head": "vector" if "vector" in channels else "offsets"}
        told, count = origin.settings.get("verbs", ()), channels["verb"]
        if not self.verbs and len(told) == count:
            found |= {"verbs": told, "alone": origin.settings["alone"] if self.alone is None else self.alone}
        elif len(self.verbs) != count:
            raise UsageError(
                f"it has {count} verbs, but {len(self.verbs)} are named. Name each, in order: --set verbs=[ride, hold]."
            )
        remarks = [f"{count} verbs of {origin.title}"] if "verbs" in found else []
        if "heatmap" not in channels:
            remarks.append(
                "it finds no objects: the original takes another detector's boxes. `tasks.hoi.given.pair_up` does so, "
                "and training on boxes makes heads for them"
            )
        return type(self).model_validate({**self.model_dump(), **found}), remarks

    @property
    def limits(self) -> vector.Limits:
        """Of "vector": when a point belongs to two objects."""
        scores = self.subject_score, self.object_score, self.point_score
        return vector.Limits(self.reach, self.alone_reach, *scores)

    @property
    def property(self) -> Interactions:
        """Interactions as records hold them and as they are found."""
        return Interactions(verbs=self.verbs, allowed=self.allowed)

    def rules(self, centers: Centers) -> decode.Rules:
        """What may go together.

        Raises:
            UsageError: A class is unknown.
        """
        classes = centers.class_names or tuple(str(number) for number in range(centers.num_classes))
        names = self.subject or ((PEOPLE,) if PEOPLE in classes else classes)
        alone = (*(self.alone or ()), *(verb for verb, objects in self.allowed.items() if not objects))
        allowed = np.ones((len(self.verbs), len(classes)), np.float32)
        for verb, objects in self.allowed.items():
            allowed[self.verbs.index(verb)] = _marked(classes, objects, f"hoi.allowed: {verb}")
        return decode.Rules(
            points=max(centers.candidates, 1),
            subjects=_marked(classes, names, "hoi.subject"),
            alone=_marked(self.verbs, alone, "hoi.alone"),
            allowed=allowed if self.allowed else None,
        )

    def build(self, centers: Centers) -> Task:
        """The task.

        Raises:
            UsageError: No verb is known, or a class is not.
        """
        if not self.verbs:
            raise UsageError(
                "Task 'hoi' needs verbs: records with interactions have them in dataset.yaml; for others, name them "
                "with the setting hoi.verbs."
            )
        rules = self.rules(centers)
        verb = Head("verb", len(self.verbs), bias=HEATMAP_BIAS, heatmap=True, mirror=unmirrored, context=True)
        own = self._offsets(centers, rules) if self.head == "offsets" else self._vector(centers, rules)
        heads, terms, encode, find, more = own
        return Task(
            name="hoi",
            heads=(*centers.heads(), verb, *heads),
            terms=(*centers.terms(), Term("verb", ("verb",), losses.focal), *terms),
            encode=lambda rows, located: {**centers.encode(rows, located), **encode(rows, located)},
            decode=lambda outputs, peaks: {**centers.decode(outputs, peaks), **find(outputs, peaks)},
            fields=(*SHARED, *(field for field in self.property.fields if field.name in PAIRS)),
            property=self.property,
            **more,
        )

    def _offsets(self, centers: Centers, rules: decode.Rules) -> tuple[Any, ...]:
        """Heads, terms, encode, (outputs, peaks) -> what is found, and further arguments of `Task`.

        With several stacks, the original sums the errors of offsets and averages all others.
        """
        names = ("subject_offset", "object_offset")

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            return targets.displacements(rows, located, rules.alone, self.max_pairs, centers.corrected_radius)

        return (
            tuple(Head(name, 2, mirror=negated_x, context=True, at_cells=True) for name in names),
            tuple(Term(name, (name,), losses.masked_l1, 0.1, summed=True) for name in names),
            encode,
            lambda outputs, peaks: decode.decode(outputs, peaks, rules),
            {"finds": tuple(Find(name, level="pair") for name in PAIRS)},
        )

    def _vector(self, centers: Centers, rules: decode.Rules) -> tuple[Any, ...]:
        """As `_offsets`. The original starts the vector at a heatmap's bias."""
        told = tuple(Find(name, level="pair") for name in PAIRS)
        inner = (
            Find("verb_boxes", "boxes", "pair", inner=True),
            *(Find(name, level="pair", inner=True) for name in ("point_verbs", "point_scores")),
        )

        def points(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
            del peaks
            return vector.decode(outputs, rules.points)

        def pairs(outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
            found = {**centers.decode(outputs, peaks), **vector.decode(outputs, rules.points)}
            in_pixels = {name: found[name] * STRIDE for name in ("boxes", "verb_boxes")}
            return vector.place({**found, **in_pixels}, rules, self.limits)

        of_image = {"finds": (*told, *inner), "place": lambda found, extras: vector.place(found, rules, self.limits)}
        return (
            (Head("vector", 2, bias=HEATMAP_BIAS, mirror=unmirrored, context=True, at_cells=True),),
            (Term("vector", ("vector",), losses.masked_l1, 0.1),),
            lambda rows, located: targets.vectors(rows, located, rules.alone, self.max_pairs),
            *((points, of_image) if self.pixels == "image" else (pairs, {"finds": told})),
        )


def _alone(records: Any, verbs: Sequence[str]) -> tuple[str, ...]:
    """Verbs that are there, but never with an object."""
    pairs, kinds = (
        np.concatenate([np.zeros((0, *shape), int), *(one.rows[name] for one in records.head(SEEN))])
        for name, shape in (("pairs", (2,)), ("verbs", ()))
    )
    with_object = {*kinds[pairs[:, 1] >= 0].tolist()}
    return tuple(verbs[kind] for kind in sorted({*kinds.tolist()} - with_object))


def _marked(known: Sequence[str], names: Sequence[str], where: str) -> np.ndarray:
    """[len(known)] bool, which of them are among the names.

    Raises:
        UsageError: A name is unknown.
    """
    for name in names:
        if name not in known:
            raise UsageError(f"{where}: unknown {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
    return np.isin(known, names)
