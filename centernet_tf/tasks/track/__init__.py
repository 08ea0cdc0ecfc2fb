"""Tracking by displacement: where each object was in the frame before (Tracking Objects as Points, section 4)."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pydantic

from centernet_tf import losses
from centernet_tf.errors import UsageError
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import IMAGE, Association, Clip, Find, Head, Input, Task, TaskSettings, Term
from centernet_tf.properties.fields import SHARED, Field
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks import Tracks
from centernet_tf.tasks.track import associate, decode, graph, prior, targets

# Made of two frames by `targets.join`; no record has them.
JOINED = (
    Field("before", "float32", (2,), "fixed", 0.0, "middle of the box in the frame before, pixels of the input"),
    Field("known", "bool", (), "fixed", False, "whether the object is in the frame before"),
)

# Rows of the frame before, from which the prior heatmap is drawn.
DRAWN = (
    Field("boxes", "float32", (4,), "boxes", 0.0, "left, top, right, bottom in pixels of the input"),
    Field("shifts", "float32", (2, 2), "fixed", 0.0, "of its place and of its double's, pixels of the input"),
    Field("drawn", "bool", (2,), "fixed", False, "whether it and its double are drawn"),
)


class Track(TaskSettings):
    """Objects as boxes that keep their identity from frame to frame.

    The network sees the image, the frame before, and a heatmap of what was tracked there. See `associate.Rules` and
    `prior`.
    """

    official: ClassVar[Mapping[str, str]] = {"tracking": "displacement"}
    companions: ClassVar[Mapping[str, str]] = {"ltrb_amodal": "amodal_box"}
    stems: ClassVar[Mapping[str, str]] = {"pre_img_layer": "previous", "pre_hm_layer": "prior"}

    prior: bool = True
    """Show the network a heatmap of what was tracked in the frame before, too."""

    amodal_box: bool = False
    """Learn how far the sides of a box are from its cell, beyond the image's edge too, and answer that box, as
    published models of pedestrians do (ltrb_amodal).
    """

    threshold: float = pydantic.Field(0.3, ge=0, le=1)
    """Score above which an object is tracked; none of the other thresholds counts below it."""

    prior_threshold: float | None = pydantic.Field(None, ge=0, le=1)
    """Score from which an object is drawn in the next frame's heatmap. Null for threshold."""

    birth: float | None = pydantic.Field(None, ge=0, le=1)
    """Score above which an object becomes someone new. Null for threshold."""

    max_age: int = -1
    """Frames after which someone who is not seen is forgotten; -1 for at once, as in the original. 30 keeps identities
    behind obstacles.
    """

    hungarian: bool = False
    """Match all objects at once instead of the surest first; not in exported files."""

    reach: int = pydantic.Field(2, ge=0)
    """How many frames before or after the present one the earlier frame of training may be. More where objects are fast
    or the frame rate varies.
    """

    same_crop: bool = False
    """Show both frames of training in the same crop. Else, and where both are one image, the earlier one is moved and
    scaled a little.
    """

    shift: float = pydantic.Field(0.05, ge=0, lt=1)
    """Standard deviation of that motion, as a part of the crop; at most twice that."""

    scale: float = pydantic.Field(0.05, ge=0, lt=1)
    """Standard deviation of that scaling; at most that."""

    moved: float = pydantic.Field(0.05, ge=0)
    """Standard deviation of the place of objects in training's heatmaps of the frame before, as a part of their sides,
    so that the network learns to do with poor ones.
    """

    missing: float = pydantic.Field(0.4, ge=0, le=1)
    """Part of these objects that is not drawn."""

    doubled: float = pydantic.Field(0.1, ge=0, le=1)
    """Part of the others that is drawn twice."""

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["Track", list[str]]:
        found: dict[str, Any] = {"amodal_box": "amodal_box" in channels, "prior": "prior" in channels}
        remarks = [] if found["prior"] else ["no stem for a prior heatmap: the network sees the frame before alone"]
        # The thresholds that the original was scored with, where nobody gives others.
        for name, value in origin.settings.items():
            if name in type(self).model_fields and name not in self.model_fields_set:
                found[name] = value
                remarks.append(f"{name} {value}, as {origin.title} was scored")
        return self.model_copy(update=found), remarks

    def build(self, centers: Centers) -> Task:
        inputs = {**IMAGE, "previous": Input(frames=(-1,))}
        if self.prior:
            inputs["prior"] = Input(channels=1, draw=prior.draw)
        amodal = [Head("amodal_box", 4, at_cells=True)] if self.amodal_box else []

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            found = targets.encode(rows, located)
            used = {"displacement", *(head.name for head in amodal)}
            return {**centers.encode(rows, located), **{name: found[name] for name in found if name in used}}

        return Task(
            name="track",
            heads=(*centers.heads(), Head("displacement", 2, at_cells=True), *amodal),
            terms=(
                *centers.terms(),
                Term("displacement", ("displacement",), losses.masked_l1),
                *(Term(head.name, (head.name,), losses.masked_l1, 0.1) for head in amodal),
            ),
            encode=encode,
            decode=lambda outputs, peaks: decode.decode(outputs, peaks, centers.decode(outputs, peaks)["boxes"]),
            fields=(*SHARED, *JOINED),
            finds=(Find("displacements", "vectors"), Find("points", "points")),
            property=Tracks(),
            every_object=True,
            inputs=inputs,
            clip=Clip(
                self._join,
                fields=JOINED,
                reads=(*SHARED, *Tracks().fields),
                drawn=DRAWN if self.prior else (),
                reach=self.reach,
                same_crop=self.same_crop,
                shift=self.shift,
                scale=self.scale,
            ),
            associate=Association(
                associate.Memory.empty,
                self._step,
                lambda memory: [],
                self._recall if self.prior else None,
                None if self.hungarian else graph.association(self.rules, self._shown, self.threshold, self.prior),
                begin=functools.partial(self._begin, centers.num_classes),
                follows="points",
            ),
        )

    @property
    def rules(self) -> associate.Rules:
        """When an object is someone who was there before."""
        return associate.Rules(max(self.threshold, self.birth or 0), self.max_age, self.hungarian)

    def _join(self, frames: Mapping[int, Rows], size: tuple[int, int], random: Any) -> tuple[Rows, Rows]:
        """Of `Clip`. Without source of chance the prior heatmap is as it should be."""
        count = len(targets.drawn_rows(frames[-1], size))
        draws = targets.no_lots(count) if random is None else targets.draw_lots(random, count)
        noise = targets.Noise(self.moved, self.missing, self.doubled)
        return targets.join(frames[0], frames[-1], size, noise, draws)

    def _begin(self, classes: int, boxes: np.ndarray) -> associate.Memory:
        """Of `Association`."""
        if classes > 1:
            raise UsageError(
                f"Boxes of another detector have no class, and this model has {classes}, so nobody knows who they are. "
                "Give a model of one class."
            )
        return associate.Memory.of(boxes[:, :4], boxes[:, 4], self.rules.birth)

    def _step(
        self, found: Any, memory: associate.Memory, public: np.ndarray | None = None
    ) -> tuple[list[Any], associate.Memory]:
        """Detections with "track_ids", without those who are nobody."""
        found = found[found.scores > self.threshold]
        centers = None if public is None else (public[:, :2] + public[:, 2:4]) / 2
        ids, memory = associate.step(found.rows, memory, self.rules, centers)
        named = dataclasses.replace(found, fields={**found.fields, "track_ids": ids})
        return [named[ids > 0]], memory

    @property
    def _shown(self) -> float:
        """Score from which who was seen in the last frame is drawn in the prior heatmap."""
        return max(self.threshold, self.prior_threshold or 0)

    def _recall(self, memory: associate.Memory) -> Rows:
        return {"boxes": memory.boxes[(memory.scores >= self._shown) & (memory.active > 0)]}
