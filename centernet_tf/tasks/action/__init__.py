"""Actions as moving points: tubelets, the boxes of one action through K frames (Li et al., ECCV 2020)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pydantic

from centernet_tf import losses
from centernet_tf.errors import UsageError
from centernet_tf.geometry import Window
from centernet_tf.points.centers import HEATMAP_BIAS, Centers
from centernet_tf.points.task import Association, Clip, Find, Head, Input, Task, TaskSettings, Term, unmirrored
from centernet_tf.properties.fields import SHARED, Field
from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks import Tracks
from centernet_tf.properties.tracks.tubelets import OVERLAP, Suppression
from centernet_tf.tasks.action import decode, fuse, join, link, targets, tubes


class Action(TaskSettings):
    """What is done, where and when: each class is an action, and each object one that is seen doing it.

    The network sees K frames at once. An action is a peak at the key frame, K // 2, from which its centre moves through
    the others. Without an offset within the cell, which the movement carries too. See `decode.Clamp` and `link.Rules`.
    """

    official: ClassVar[Mapping[str, str]] = {"mov": "movement"}

    frames: int = pydantic.Field(7, ge=1, le=64)
    """How many frames are seen at once, K. An action must last as long; fewer need less memory."""

    flow: int = pydantic.Field(0, ge=0, le=64)
    """Pictures of optical flow for each frame, from its own on, which the network sees instead of images and the
    records must hold: 5 in the original's models of flow. 0 for images.
    """

    reduce: int | None = pydantic.Field(None, ge=1, le=1024)
    """Channels to which a 1x1 convolution brings the features of each frame before those of all are joined. Null for
    none, as in the original; 16 makes videos cheap where the trunk is small.
    """

    window: Window = "stretched"
    """What of an image fills the input: stretched fills it by scaling each axis by itself, as in the original."""

    clamp: decode.Clamp = "apart"
    """Where a size is read whose centre lies beyond the map: at the nearest cell (apart), or as in the original by a
    clamped number of the cell, which leads to other rows (together).
    """

    suppression: Suppression = "original"
    """What becomes of tubelets, the boxes of one action through K frames, that show what better ones show: they stay
    with lower, even negative scores (original), get scores that cannot be negative (mean), or are dropped (hard).
    """

    overlap: float = pydantic.Field(OVERLAP, ge=0, le=1)
    """Overlap above which two tubelets show the same."""

    most: int = pydantic.Field(10, ge=1)
    """How many tubelets of a class count in every K frames, the best of them."""

    link_overlap: float = pydantic.Field(0.5, ge=0, le=1)
    """Overlap from which a tubelet continues a tube."""

    min_length: int = pydantic.Field(15, ge=1)
    """Frames of the shortest tube that is told."""

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["Action", list[str]]:
        if self.reduce:
            raise UsageError(f"action.reduce is {self.reduce}, but published checkpoints reduce nothing. Leave it out.")
        pictures = channels.get("image", 3) // 3
        found = {"frames": channels["movement"] // 2, "flow": pictures if pictures > 1 else 0}
        remarks = [f"optical flow, {pictures} pictures of it for each frame"] if found["flow"] else []
        clamp = origin.settings.get("clamp")
        if clamp and "clamp" not in self.model_fields_set:
            found["clamp"] = clamp
            remarks.append(f"clamp {clamp}, as {origin.title} was scored")
        return self.model_copy(update=found), remarks

    @property
    def offsets(self) -> tuple[int, ...]:
        """The frames of a window, by number from the key frame."""
        return tuple(range(-(self.frames // 2), self.frames - self.frames // 2))

    def build(self, centers: Centers) -> Task:
        if centers.class_specific_size or centers.ltrb or centers.of_whole_boxes:
            names = ", ".join(["class_specific_size", "ltrb", *centers.of_whole_boxes])
            raise UsageError(f"{names}: an action has one width and height in each frame. Leave them out.")
        tubelets = Field(
            "tubelets",
            "float32",
            (self.frames, 4),
            "boxes",
            0.0,
            "left, top, right, bottom in each frame of a window, pixels of the input",
        )

        def encode(rows: Mapping[str, Any], located: Mapping[str, Any]) -> dict[str, Any]:
            return {"heatmap": centers.encode(rows, located)["heatmap"], **targets.encode(rows, located)}

        return Task(
            name="action",
            heads=self._heads(centers.num_classes),
            terms=(
                Term("heatmap", ("heatmap",), losses.focal),
                Term("movement", ("movement",), losses.masked_l1),
                Term("size", ("size",), targets.frames_l1, 0.1),
            ),
            encode=encode,
            decode=lambda outputs, peaks: decode.decode(outputs, peaks, self.clamp),
            fields=(*SHARED, tubelets),
            finds=(Find("tubelets", "boxes"),),
            property=Tracks(tubes=True),
            inputs={"image": self._input()},
            clip=Clip(self._join, fields=(tubelets,), reads=(*SHARED, *Tracks().fields), whole=self._is_whole),
            whole_boxes=True,
            window=self.window,
            clipped=True,
            associate=Association(self._start, self._step, self._finish),
            fuse=fuse.by_names,
        )

    def _heads(self, classes: int) -> tuple[Head, ...]:
        joined = {"reduced": self.reduce or 0}
        return (
            Head("heatmap", classes, bias=HEATMAP_BIAS, heatmap=True, mirror=unmirrored, **joined),
            # Its mirror image is not averaged, as in the original.
            Head("movement", 2 * self.frames, at_cells=True, **joined),
            Head("size", 2, mirror=unmirrored, per_frame=True, at_cells=True),
        )

    @property
    def rules(self) -> link.Rules:
        """When tubelets are one tube."""
        return link.Rules(self.frames, self.suppression, self.overlap, self.most, self.link_overlap, self.min_length)

    def _start(self) -> tubes.Linked:
        """Of `Association`; likewise `_step` and `_finish`."""
        return tubes.start(self.rules)

    def _step(self, found: Any, linked: tubes.Linked) -> tuple[list[Any], tubes.Linked]:
        return tubes.step(found, linked, self.rules)

    def _finish(self, linked: tubes.Linked) -> list[Any]:
        return tubes.finish(linked, self.rules)

    def _input(self) -> Input:
        if not self.flow:
            return Input(frames=self.offsets)
        return Input(3 * self.flow, self.offsets, stacked=self.flow, directed=True)

    def _join(self, frames: Mapping[int, Rows], size: tuple[int, int], random: Any) -> tuple[Rows, Rows]:
        """Of `Clip`; nothing is drawn from rows."""
        del size, random
        return join.join(frames, self.offsets), {}

    def _is_whole(self, frames: Mapping[int, Rows]) -> bool:
        """Of `Clip`."""
        return join.is_whole(frames, self.offsets)
