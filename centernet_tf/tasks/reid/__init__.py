"""Tracking by looks: each object also says who it is (FairMOT, Zhang et al., 2021)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pydantic
from keras import ops

from centernet_tf.geometry import Window
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Find, Head, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED, Field
from centernet_tf.properties.tracks import Tracks
from centernet_tf.tasks.reid import decode
from centernet_tf.tasks.reid.losses import TERM, Classifier, LearnedWeights

IDENTITIES = Field("identities", "int32", (), "fixed", -1, "number of its identity within its class; -1 unknown")


class Reid(TaskSettings):
    """Objects as boxes that are recognised by their looks.

    Attributes:
        embedding: Length of the vector that says who an object is.
        identities: How many there are to learn from of each class; of the records if left out.
        learned_weights: Learn how much detection and identities count (`losses.LearnedWeights`), instead of adding a
            tenth of the latter.
        window: What of an image fills the width of a fixed input.
    """

    official: ClassVar[Mapping[str, str]] = {"id": "embedding"}
    edges: ClassVar[bool] = True

    embedding: pydantic.PositiveInt = 128
    identities: tuple[pydantic.NonNegativeInt, ...] | None = None
    learned_weights: bool = True
    window: Window = "whole image"

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
            fields=(*SHARED, IDENTITIES),
            finds=(Find("embeddings"),),
            property=Tracks(),
            whole_boxes=True,
            window=self.window,
            combine=combine,
        )


def _target(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
    """What `losses.Classifier` takes."""
    known = ops.where(located["keep"], rows["identities"], -1)
    return {"index": located["index"], "classes": located["classes"], "identities": known}
