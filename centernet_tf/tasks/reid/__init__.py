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

    Attributes:
        embedding: Length of the vector that says who an object is.
        identities: How many there are to learn from of each class; of the records if left out.
        learned_weights: Learn how much detection and identities count (`losses.LearnedWeights`), instead of adding a
            tenth of the latter.
        window: What of an image fills the width of a fixed input.
        associates: Whether this task says who is who in videos; false where another task of the same network does.
        threshold: Score above which an object is tracked.
        birth: Score from which it becomes someone new; that of `threshold` if left out.
        low: Score above which it continues who was seen in the frame before, by overlap alone (ByteTrack); no less than
            `threshold` if left out.
        max_age: Frames that someone who is not seen is remembered.
        embedding_limit: Largest distance of appearance and motion at which two can be the same.
        tracked_limit: Largest 1 - IoU of who was seen in the frame before, likewise.
        unconfirmed_limit: Of who was seen for the first time in the frame before.
        min_area: Of boxes to be told, in pixels squared; the original's program has 100.
        max_aspect: Width / height of boxes to be told; the original's program has 1.6, for pedestrians.
        use_embedding: Associate by looks, not by boxes alone.
        use_motion: Associate by where objects should be, not by where they were.
    """

    official: ClassVar[Mapping[str, str]] = {"id": "embedding"}
    trained: ClassVar[frozenset[str]] = frozenset({"identities"})
    edges: ClassVar[bool] = True

    embedding: pydantic.PositiveInt = 128
    identities: tuple[pydantic.NonNegativeInt, ...] | None = None
    learned_weights: bool = True
    window: Window = "whole image"
    associates: bool = True
    threshold: float = pydantic.Field(0.4, ge=0, le=1)
    birth: float | None = pydantic.Field(None, ge=0, le=1)
    low: float | None = pydantic.Field(None, ge=0, le=1)
    max_age: int = pydantic.Field(30, ge=0)
    embedding_limit: float = pydantic.Field(0.4, ge=0)
    tracked_limit: float = pydantic.Field(0.5, ge=0, le=1)
    unconfirmed_limit: float = pydantic.Field(0.7, ge=0, le=1)
    min_area: float | None = pydantic.Field(None, ge=0)
    max_aspect: float | None = pydantic.Field(None, gt=0)
    use_embedding: bool = True
    use_motion: bool = True

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
