"""Tracking by looks: each object also says who it is (FairMOT, Zhang et al., 2021)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import pydantic
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.geometry import Window
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Association, Find, Head, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.tracks import IDENTITY, Tracks
from centernet_tf.tasks.reid import associate, decode
from centernet_tf.tasks.reid.losses import TERM, Classifier, LearnedWeights


class Reid(TaskSettings):
    """Objects as boxes that are recognised by their looks.

    See `associate.Rules` and `losses.LearnedWeights`.
    """

    official: ClassVar[Mapping[str, str]] = {"id": "embedding"}
    trained: ClassVar[frozenset[str]] = frozenset({"identities"})
    edges: ClassVar[bool] = True

    embedding: pydantic.PositiveInt = 128
    """Length of the vector that says who an object is."""

    identities: tuple[pydantic.NonNegativeInt, ...] | None = None
    """How many identities of each class there are to learn from. Null to count those of the records."""

    learned_weights: bool = True
    """Learn how much detection and identities count, as in the original, instead of adding a tenth of the latter."""

    window: Window = "whole image"
    """What of an image fills the input: all of it fits in, as in the original."""

    associates: bool = True
    """Say who is who in videos; false where another task of the same network does."""

    threshold: float = pydantic.Field(0.4, ge=0, le=1)
    """Score above which an object is tracked."""

    birth: float | None = pydantic.Field(None, ge=0, le=1)
    """Score from which an object becomes someone new. Null for threshold."""

    low: float | None = pydantic.Field(None, ge=0, le=1)
    """Score above which an object continues who was seen in the frame before, by overlap alone (ByteTrack): 0.1. Null
    for threshold.
    """

    max_age: int = pydantic.Field(30, ge=0)
    """Frames that someone who is not seen is remembered."""

    embedding_limit: float = pydantic.Field(0.4, ge=0)
    """Largest distance of looks and motion at which two objects can be the same; lower mixes up fewer, and loses more.
    """

    tracked_limit: float = pydantic.Field(0.5, ge=0, le=1)
    """Largest 1 - IoU at which an object is who was seen in the frame before, where looks and motion did not tell."""

    unconfirmed_limit: float = pydantic.Field(0.7, ge=0, le=1)
    """Likewise of who was seen in the frame before for the first time."""

    min_area: float | None = pydantic.Field(None, ge=0)
    """Smallest area of boxes that are told, in square pixels; the original's program has 100. Null for all."""

    max_aspect: float | None = pydantic.Field(None, gt=0)
    """Largest width / height of boxes that are told; the original's program has 1.6, for pedestrians. Null for all."""

    use_embedding: bool = True
    """Associate by looks, not by boxes alone."""

    use_motion: bool = True
    """Associate by where objects should be by now, not by where they were."""

    @pydantic.model_validator(mode="after")
    def _low_is_below(self) -> "Reid":
        if self.low is not None and self.low >= self.threshold:
            raise ValueError(f"low is {self.low}, expected less than threshold, {self.threshold}")
        return self

    def complete(self, records: Any) -> "Reid":
        if self.identities is not None:
            return self
        known = records.overall(Tracks.name)
        counts = () if known is None else known.identities.per_class
        if not sum(counts):
            raise UsageError(
                f"{records.directory}: no identities (image/object/track/label), which task 'reid' learns from. Write "
                "the records from annotations that have them, such as `centernet records mot` or `records jde`."
            )
        return self.model_copy(update={"identities": (*counts, *[0] * (len(records.classes) - len(counts)))})

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["Reid", list[str]]:
        return self.model_copy(update={"embedding": channels["embedding"]}), []

    def build(self, centers: Centers) -> Task:
        told, combine = [], None
        if self.identities:  # A converted network has none to learn from.
            weight = 1.0 if self.learned_weights else 0.1
            told = [Term(TERM, ("embedding",), Classifier(self.identities, self.embedding), weight)]
            combine = LearnedWeights() if self.learned_weights else None
        return Task(
            name="reid",
            heads=(*centers.heads(), Head("embedding", self.embedding, at_centers=True)),
            terms=(*centers.terms(), *told),
            encode=lambda rows, located: {
                **centers.encode(rows, located),
                **{term.name: _target(rows, located) for term in told},
            },
            decode=lambda outputs, peaks: {**centers.decode(outputs, peaks), **decode.decode(outputs, peaks)},
            fields=(*SHARED, IDENTITY),
            finds=(Find("embeddings"),),
            property=Tracks(),
            whole_boxes=True,
            window=self.window,
            combine=combine,
            associate=Association(associate.Memory.empty, self._step, lambda memory: []) if self.associates else None,
        )

    @property
    def rules(self) -> associate.Rules:
        """When an object is someone who was there before."""
        named = {field.name for field in dataclasses.fields(associate.Rules)}
        values = {name: getattr(self, name) for name in type(self).model_fields if name in named}
        return associate.Rules(**values, buffer=self.max_age)

    def _step(self, found: Any, memory: associate.Memory) -> tuple[list[Any], associate.Memory]:
        """Detections with "track_ids", where the filter has them, without those who are nobody."""
        ids, boxes, memory = associate.step(found.rows, memory, self.rules)
        named = dataclasses.replace(found, boxes=boxes, fields={**found.fields, "track_ids": ids})
        return [named[ids > 0]], memory


def _target(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
    """What `losses.Classifier` takes."""
    known = ops.where(located["keep"], rows["identities"], -1)
    return {"index": located["index"], "classes": located["classes"], "identities": known}
