"""All that a task must say: what it predicts, what it penalises, how objects become targets and maps become objects."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pydantic

from centernet_tf.geometry import Window
from centernet_tf.points.videos import Association, Clip
from centernet_tf.properties.fields import SHARED, Field, Level, Motion
from centernet_tf.properties.property import Property


def unmirrored(values: Any) -> Any:
    """The `Head.mirror` of a map whose numbers mean the same in a mirror image."""
    return values


@dataclasses.dataclass(frozen=True)
class Head:
    """One output map, [B, H/4, W/4, channels], without activation.

    Attributes:
        name: Key of the map.
        channels: Its depth.
        bias: Start of the last bias; -2.19 gives a heatmap the prior probability 0.1.
        heatmap: Whether it scores cells: other initial weights, and the flip test averages scores.
        mirror: What brings a mirror image's map back, after its columns are: a module-level function of one
            [..., channels], such as swapping left and right parts or negating x: linear. None where the flip test
            keeps to the original image, as for offsets within a cell.
        at_centers: Whether the last layer is left to whoever reads the map at cells (`losses.gather_cells`), for heads
            of many channels: the same numbers without a map of them.
        spread: Whether the last layer starts with weights as large as a heatmap's, for numbers that are multiplied with
            each other and would not leave 0.
        at_cells: Whether tasks read it by `losses.gather_cells` and in no other way, so that training and detection
            compute it at these cells alone, see `model.cells`. The network itself still answers a map. One `per_frame`
            is read as a map or, in videos, as parts whose features are a list of the frames'.
        context: Whether it reads the further map of backbones that have one, which sees more than the others.
        per_frame: Of clips: whether it reads the features of each frame alone, and gives the frames' maps one behind
            the other, instead of reading those of all frames at once.
        reduced: Of those that are not: to how many channels a 1x1 convolution brings the features of each frame, by
            itself, before they stand one behind the other; 0 leaves them as they are. All such heads of a network say
            the same and share it.
    """

    name: str
    channels: int
    bias: float = 0.0
    heatmap: bool = False
    mirror: Callable[[Any], Any] | None = None
    at_centers: bool = False
    spread: bool = False
    at_cells: bool = False
    context: bool = False
    per_frame: bool = False
    reduced: int = 0


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of the loss: function(*maps read, target) -> scalar, averaged over stacks.

    Attributes:
        name: Key of its target, and its name in the logs.
        reads: Names of the heads it compares.
        function: A module-level function, so that two tasks can say the same term; or a Keras layer of float32, built
            or with `build(None)`, where it owns weights, such as a classifier, which are trained and saved for resuming
            but are no part of the model.
        weight: Factor in the total.
        summed: Whether it is the sum over stacks instead of their average.
        ideal: target -> what a head would have to answer for no loss, in the form of `oracle.lay_out`, for a term that
            reads one head; None where `function` says it, see `oracle.PLAIN`, or nobody can.
    """

    name: str
    reads: tuple[str, ...]
    function: Callable[..., Any]
    weight: float = 1.0
    summed: bool = False
    ideal: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None


@dataclasses.dataclass(frozen=True)
class Input:
    """One input of the network.

    Attributes:
        channels: Of each frame.
        frames: Which frames of a video it shows, the present one is 0; one frame gives [B, H, W, channels], several
            [B, T, H, W, channels].
        draw: (rows, size) -> [B, H, W, channels]: draws it on the device from rows of objects, in pixels of the
            network's input of this height and width; None for pixels of images.
        stacked: How many pictures of three channels stand for each of the frames, its own and those that follow it in
            the video, one behind the other in its channels.
        directed: Whether the pictures are of optical flow, whose first channel, red, is the motion to the right, which
            a mirror image turns round.
    """

    channels: int = 3
    frames: tuple[int, ...] = (0,)
    draw: Callable[[Mapping[str, Any], tuple[int, int]], Any] | None = None
    stacked: int = 1
    directed: bool = False

    @property
    def pictures(self) -> tuple[int, ...]:
        """The frames of the video whose pictures it shows, by number from the present one, in order of its channels."""
        return tuple(frame + place for frame in self.frames for place in range(self.stacked))


@dataclasses.dataclass(frozen=True)
class Extra:
    """What a task needs of each image beside its pixels, such as a calibration matrix.

    Attributes:
        name: Key among the rows of records and detections, argument of `Detector`, second input of exports.
        shape: Of one image's.
        usual: Nested tuples of numbers, taken for images whose own is not given; None where each must bring its own.
        check: What a caller gives -> an array of `shape` float32; raises ValueError where it is none.
        fit: (values [B, *shape], matrix [2, 3]) -> those of images that the matrix moved; None where they stay.
        read: A file or folder -> function from an image's name to its value; None where no files hold it. Raises
            DataError and UsageError.
        meaning: What it is, for people: shape, unit, frame.
    """

    name: str
    shape: tuple[int, ...]
    usual: tuple[Any, ...] | None = None
    check: Callable[[Any], np.ndarray] = np.asarray
    fit: Callable[[Any, Any], Any] | None = None
    read: Callable[[Path], Callable[[str], np.ndarray]] | None = None
    meaning: str = ""


@dataclasses.dataclass(frozen=True)
class Find:
    """What a task finds of each object besides box, score and class.

    Attributes:
        name: Key of the array [B, K, ...] that `decode` or `place` gives.
        motion: How it moves from cells of the output grid to pixels of the image: points or vectors; or not at all.
        level: Whether objects or pairs of them have it.
        inner: Whether `place` alone reads it, so that nobody is told.
    """

    name: str
    motion: Motion | None = None
    level: Level = "object"
    inner: bool = False


IMAGE = {"image": Input()}


@dataclasses.dataclass(frozen=True)
class Task:
    """What one task adds to the points.

    Attributes:
        name: Key in the table of tasks.
        heads: What is predicted.
        terms: What is penalised.
        encode: (rows, centers) -> {term: target}. Rows are padded objects [B, N, ...] with a "valid" mask, in pixels of
            the network's input; centers is what `locate` made of them.
        decode: (outputs, peaks) -> {field: [B, K, ...]} in cells of the output grid. Outputs are the last stack's maps.
        fields: What its rows need.
        finds: What `decode` and `place` give besides boxes, scores and classes.
        property: The property of objects that it learns; None for boxes alone.
        inputs: Named inputs of the network.
        extras: What `place` needs of each image beside its pixels.
        place: (what is found, with boxes and points in pixels of the images; {extra: [B, ...]}) -> more of it, [B, K,
            ...]; None for a task of the image alone.
        anchor: Which of `finds` is the place of an object for a task that follows it; None for its cell's corner.
        whole_sides: Whether the sides of objects are rounded up before the radius of their Gaussians; where several
            tasks share a trunk, they are if any of them says so.
        whole_boxes: Whether centre and size are those of all of a box, beyond the image's edge too, with the centre
            pulled into the grid; where several tasks share a trunk, they are if any of them says so.
        every_row: Whether the errors of offset and size are divided by all rows that an image has for objects, filled
            or not; where several tasks share a trunk, they are if all of them say so.
        every_object: Whether the heatmap has as many centres as there are objects, where two share a cell too, and none
            for cells at 1 that no object stands for; where several tasks share a trunk, it has if any of them says so.
        window: What of an image fills the width of a fixed input, see `geometry.Window`; where several tasks share a
            trunk and disagree, its longer side.
        shifted_sizes: Whether widths and heights of boxes move from cells to pixels as points do, shift included, as in
            one of the originals; where several tasks share a trunk, they do if all of them say so.
        clipped: Whether found boxes are cut to an image's last pixels, width - 1 and height - 1, as in one of the
            originals; where several tasks share a trunk, they are if all of them say so.
        boxed: rows -> [B, N] bool: whose box it trains; None for all objects. Where several tasks share a trunk, a box
            is trained if any of them wants it.
        clip: How several frames of a video make one sample; None for single images.
        associate: What makes detections of a video belong together; None for single images.
        combine: {term: weighted value} -> the scalar that trains, a Keras layer as of `Term.function` where it owns
            weights, such as learned weights of the terms; None for their sum.
        fuse: ({head: map, or what `losses.gather_cells` takes instead} of a network that sees images, the same of one
            that sees optical flow, {name: how much the first one counts}) -> those of one network; None where two make
            no sense.
    """

    name: str
    heads: tuple[Head, ...]
    terms: tuple[Term, ...]
    encode: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    decode: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    fields: tuple[Field, ...] = SHARED
    finds: tuple[Find, ...] = ()
    property: Property | None = None
    inputs: Mapping[str, Input] = dataclasses.field(default_factory=lambda: dict(IMAGE))
    extras: tuple[Extra, ...] = ()
    place: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]] | None = None
    anchor: str | None = None
    whole_sides: bool = True
    whole_boxes: bool = False
    every_row: bool = False
    every_object: bool = False
    window: Window = "longer side"
    shifted_sizes: bool = False
    clipped: bool = False
    boxed: Callable[[Mapping[str, Any]], Any] | None = None
    clip: Clip | None = None
    associate: Association | None = None
    combine: Callable[[Mapping[str, Any]], Any] | None = None
    fuse: Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, float]], dict[str, Any]] | None = None


class Section(pydantic.BaseModel):
    """Base of all settings: unknown names are errors, values cannot change.

    What stands below a field as a docstring tells people what it does, in `centernet init` and docs/settings.md: its
    unit, when to change it, and what the default is, the original's where nothing is said.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), use_attribute_docstrings=True
    )


def first_problem(error: pydantic.ValidationError) -> str:
    """The first thing that is wrong with settings, "classes.1: what", for messages."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    said = "unknown setting" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
    return f"{place}: {said.rstrip('.')}"


class TaskSettings(Section):
    """The settings of one task: a section of a run's YAML and of the model card, both under the task's name.

    Attributes:
        official: Heads of published checkpoints that only this task has, and our names of them.
        forms: Likewise, of checkpoints of another form of this task, which have these instead.
        companions: Heads that a checkpoint of this task may have beside those, and our names of them.
        stems: First layers of published checkpoints that only this task has, one for each further input of the
            network, and our names of the inputs.
        absent: Those of them that a checkpoint may lack, and the value that all cells of their maps then have, so that
            decoding goes on as the official one does.
        trained: Names of settings that only the records that are trained on say, not those that validate.
        edges: Whether four channels of size are always distances to the edges in its checkpoints, never two sizes.
    """

    official: ClassVar[Mapping[str, str]] = {}
    forms: ClassVar[tuple[Mapping[str, str], ...]] = ()
    companions: ClassVar[Mapping[str, str]] = {}
    stems: ClassVar[Mapping[str, str]] = {}
    absent: ClassVar[Mapping[str, float]] = {}
    trained: ClassVar[frozenset[str]] = frozenset()
    edges: ClassVar[bool] = False

    def complete(self, records: Any) -> "TaskSettings":
        """The settings with what nobody set taken from the records that are trained on.

        Args:
            records: A `data.dataset.Dataset`: its `properties`, `classes`, `directory` and `head(count)`, the first
                records.

        Raises:
            UsageError: The records lack what the task learns, or contradict the settings.
        """
        del records
        return self

    def from_heads(self, channels: Mapping[str, int], origin: Any) -> tuple["TaskSettings", list[str]]:
        """The settings of a published checkpoint, and lines for people on what was assumed.

        Args:
            channels: {our head: channels} of the checkpoint, and those of the further inputs that it has stems for.
            origin: The row of `checkpoints.origins` that says where it comes from.
        """
        del channels, origin
        return self, []

    def build(self, centers: Any) -> Task:
        """The task, on points with these `points.centers.Centers`."""
        raise TypeError(f"{type(self).__name__} does not implement build(centers).")
