"""Tracks: who is who over the frames of a video."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import pydantic

from centernet_tf.properties.fields import Field
from centernet_tf.properties.metric import ImageKey, Metric
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.property import Answer, Fault, Look, Property, Rows, Size, Survey
from centernet_tf.properties.tracks import draw, survey, trails
from centernet_tf.properties.tracks.identities import Identities, number
from centernet_tf.properties.tracks.looks import LooksMetric
from centernet_tf.properties.tracks.scores import TrackMetric
from centernet_tf.properties.tracks.tube_lines import TubeLines
from centernet_tf.properties.tracks.tube_scores import TubeMetric
from centernet_tf.properties.tracks.tubes import SCORE

LABEL = "image/object/track/label"  # Waymo's and TFOD's key of identities
VIDEO = "image/seq_id"  # of the record, which tells videos apart
UNKNOWN = -1
FIELDS = (Field("track_ids", "int64", (), "fixed", UNKNOWN, "identity in the video; -1 where unknown"),)
IDENTITY = Field(
    "identities", "int32", (), "fixed", UNKNOWN, "number among all identities that are trained on; -1 where unknown"
)


class Tracks(Property):
    """The identity of each object in its video.

    Rows: "track_ids" [N] int64, from 0, the same number in all frames of a video for the same object; -1 where nobody
    says. No two objects of a frame have the same. In training also "identities" [N] int32, from 0, no two videos the
    same, see `identities.Identities`.
    """

    tubes: bool = False
    """Whether the classes are actions: an object does one thing in some frames and may do another in the next, and what
    counts are such tubes. Of records only the inspection depends on it; models are scored as what they find.
    """

    name = "tracks"
    keys: ClassVar = {LABEL: "int"}
    answers = (
        Answer("track_ids", "detection_track_ids", "values", "identity in the video, from 1", "track id"),
        Answer("embeddings", "detection_embeddings", "values", "what it looks like, of length 1", "embedding"),
        Answer(
            "tubelets",
            "detection_tubelets",
            "boxes",
            "boxes in the frames of a window: top, left, bottom, right as fractions of the image",
            "tubelet",
        ),
    )
    overall = (IDENTITY,)
    checks = survey.CHECKS
    broken = "bad_tracks"

    @pydantic.model_serializer(mode="wrap")
    def _plain_where_usual(self, values: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in values(self).items() if name != "tubes" or value}

    @property
    def fields(self) -> tuple[Field, ...]:
        return FIELDS

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        ids = lists[LABEL]
        if len(ids) not in (0, len(boxes)):
            raise ValueError(f"{LABEL} holds {len(ids)} identities for {len(boxes)} boxes")
        return {"track_ids": ids if len(ids) else np.full(len(boxes), UNKNOWN, np.int64)}

    def over(self, images: Iterable[tuple[ImageKey, Rows]]) -> "NumberedTracks":
        return NumberedTracks(tubes=self.tubes, identities=number(images))

    def pack(self, rows: Rows, size: Size) -> dict[str, Sequence[Any]]:
        return {LABEL: rows["track_ids"]}

    def faults(self, rows: Rows, size: Size) -> list[Fault | None]:
        ids = rows["track_ids"]
        first = {int(number): row for row, number in reversed(list(enumerate(ids)))}
        return [
            None
            if number < 0 or first[int(number)] == row
            else Fault("identity twice", f"has identity {number}, as object {first[int(number)] + 1} of the frame")
            for row, number in enumerate(ids)
        ]

    def difference(self, other: Property) -> str:
        return ""  # Identities are what they are, whoever looks at them.

    def survey(self, notebook: Notebook) -> Survey:
        return survey.TrackSurvey(notebook, self.tubes)

    def labels(self, labels: Sequence[str], rows: Rows) -> list[str]:
        # A model that recognises objects finds in single images what they look like, and not who they are.
        return draw.with_numbers(labels, rows) if "track_ids" in rows else list(labels)

    def draw(self, canvas: np.ndarray, rows: Rows, look: Look) -> np.ndarray:
        if look.before:
            canvas = trails.draw_trails(canvas, [*look.before, rows])
        return draw.draw_tracks(canvas, rows) if "track_ids" in rows else canvas

    def to_json(self, rows: Rows, digits: int | None) -> list[dict[str, Any]]:
        if "track_ids" not in rows:
            return [{} for _ in rows["boxes"]]
        told = [{} if number < 0 else {"track_id": int(number)} for number in rows["track_ids"]]
        for one, score in zip(told, np.float64(rows.get(SCORE, ()))):
            one["tube_score"] = float(score) if digits is None else round(float(score), digits)
        return told

    def columns(self) -> dict[str, tuple[str, ...]]:
        return {"track_id": ("track_id",), **({"tube_score": ("tube_score",)} if self.tubes else {})}

    def chronicle(self, names: Sequence[str], digits: int | None) -> TubeLines | None:
        return TubeLines(names, digits) if self.tubes else None

    def scored_as(self, model: Property) -> Property:
        return self.model_copy(update={"tubes": model.tubes})

    def metrics(self, names: Sequence[str], **options: Any) -> list[Metric]:
        return [TubeMetric(names) if self.tubes else TrackMetric(names), LooksMetric()]


class NumberedTracks(Tracks):
    """Tracks that know everybody in the records that are trained on.

    Attributes:
        identities: Who that is.
    """

    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    keys: ClassVar = {**Tracks.keys, VIDEO: "bytes"}
    identities: Identities = pydantic.Field(exclude=True)

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*FIELDS, IDENTITY)

    def unpack(self, lists: Rows, boxes: np.ndarray, size: Size) -> Rows:
        rows = super().unpack(lists, boxes, size)
        video = lists[VIDEO][0].decode("utf-8", "replace") if len(lists[VIDEO]) else ""
        return {**rows, IDENTITY.name: self.identities.of(video, rows["track_ids"])}
