"""All that a task must say: what it predicts, what it penalises, how objects become targets and maps become objects."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from centernet_tf.schema import SHARED, Field, Motion


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
            [B, h, w, channels], such as swapping left and right joints or negating x. None where the flip test keeps
            to the original image, as for offsets within a cell.
    """

    name: str
    channels: int
    bias: float = 0.0
    heatmap: bool = False
    mirror: Callable[[Any], Any] | None = None


@dataclasses.dataclass(frozen=True)
class Term:
    """One term of the loss: function(*maps read, target) -> scalar, summed over stacks and divided by their number.

    Attributes:
        name: Key of its target, and its name in the logs.
        reads: Names of the heads it compares.
        function: A module-level function, so that two tasks can say the same term.
        weight: Factor in the total.
    """

    name: str
    reads: tuple[str, ...]
    function: Callable[..., Any]
    weight: float = 1.0


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
        finds: Names of what `decode` gives besides boxes, scores and classes.
        points: Those of them that are points (x, y) and none of `fields`.
        place: (what is found, with boxes and points in pixels of the images, cameras [B, 3, 4]) -> more of it, [B, K,
            ...], in the frame of the camera; None for a task of the image alone.
        places: Names of what `place` gives.
        whole_sides: Whether the sides of objects are rounded up before the radius of their Gaussians; where several
            tasks share a trunk, they are if any of them says so.
        inputs: Channels of each named input.
        boxed: rows -> [B, N] bool: whose box it trains; None for all objects. Where several tasks share a trunk, a box
            is trained if any of them wants it.
    """

    name: str
    heads: tuple[Head, ...]
    terms: tuple[Term, ...]
    encode: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    decode: Callable[[Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]
    fields: tuple[Field, ...] = SHARED
    finds: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    place: Callable[[Mapping[str, Any], Any], dict[str, Any]] | None = None
    places: tuple[str, ...] = ()
    whole_sides: bool = True
    inputs: Mapping[str, int] = dataclasses.field(default_factory=lambda: {"image": 3})
    boxed: Callable[[Mapping[str, Any]], Any] | None = None


Entry = TypeVar("Entry", Head, Term, Field)


def _union(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Joins what several tasks say, each name once; two that share a name must mean the same."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if found.setdefault(entry.name, entry) != entry:
            raise ValueError(
                f"Tasks disagree on {type(entry).__name__.lower()} {entry.name!r}: {found[entry.name]} and {entry}. "
                "Rename one of them."
            )
    return tuple(found.values())


@dataclasses.dataclass(frozen=True)
class TaskSet:
    """Several tasks on one trunk: the union of their heads and terms, with centres and peaks computed once.

    Attributes:
        tasks: At least one.
        locate: (rows, grid) -> centers, shared by every `encode`.
        peaks: outputs -> peaks, shared by every `decode`.
        weights: Weights of terms by their names, in place of those that the tasks give them.
    """

    tasks: tuple[Task, ...]
    locate: Callable[[Mapping[str, Any], tuple[int, int]], dict[str, Any]]
    peaks: Callable[[Mapping[str, Any]], dict[str, Any]]
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def heads(self) -> tuple[Head, ...]:
        """Heads of all tasks, each once, in the order they were first named."""
        return _union(head for task in self.tasks for head in task.heads)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Terms of all tasks, each once."""
        terms = _union(term for task in self.tasks for term in task.terms)
        return tuple(dataclasses.replace(term, weight=self.weights.get(term.name, term.weight)) for term in terms)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Fields that any of the tasks trains on, each once."""
        return _union(field for task in self.tasks for field in task.fields)

    @property
    def finds(self) -> tuple[str, ...]:
        """What is found besides boxes, scores and classes, each name once; what needs a camera comes last."""
        names = [name for task in self.tasks for name in task.finds]
        return tuple(dict.fromkeys([*names, *(name for task in self.tasks for name in task.places)]))

    @property
    def motions(self) -> dict[str, Motion]:
        """How what is found moves with the image, for all that does."""
        moving = {field.name: field.motion for field in self.fields if field.motion not in ("fixed", "angles")}
        return {**moving, **{name: "points" for task in self.tasks for name in task.points}}

    @property
    def placed(self) -> bool:
        """Whether any task needs the cameras of the images."""
        return any(task.place for task in self.tasks)

    @property
    def inputs(self) -> dict[str, int]:
        """Channels of each named input."""
        return {name: channels for task in self.tasks for name, channels in task.inputs.items()}

    def encode(self, rows: Mapping[str, Any], grid: tuple[int, int]) -> dict[str, Any]:
        """Objects to targets, on the device.

        Args:
            rows: {field: [B, N, ...]}, those of the image [B, ...], and "valid" [B, N] bool, in pixels of the network's
                input.
            grid: Height and width of the output grid in cells.

        Returns:
            {term: target} for `terms`.
        """
        wishes = [task.boxed for task in self.tasks]
        if None not in wishes:
            rows = {**rows, "boxed": functools.reduce(operator.or_, (boxed(rows) for boxed in wishes))}
        centers = self.locate(rows, grid)
        return {name: target for task in self.tasks for name, target in task.encode(rows, centers).items()}

    def losses(self, outputs: Mapping[str, list[Any]], targets: Mapping[str, Any]) -> dict[str, Any]:
        """Unweighted value of every term, averaged over the stacks.

        Args:
            outputs: {head: [map per stack]}.
            targets: What `encode` returned.

        Returns:
            {term: scalar}.
        """
        values = {}
        for term in self.terms:
            stacks = list(zip(*(outputs[name] for name in term.reads)))
            values[term.name] = sum(term.function(*maps, targets[term.name]) for maps in stacks) / len(stacks)
        return values

    def total(self, losses: Mapping[str, Any]) -> Any:
        """Weighted sum of the values of `losses`: the scalar that trains."""
        return sum(term.weight * losses[term.name] for term in self.terms)

    def decode(self, outputs: Mapping[str, list[Any]]) -> dict[str, Any]:
        """Maps to objects.

        Args:
            outputs: {head: [map per stack]}; the last stack is read.

        Returns:
            {field: [B, K, ...]} in cells of the output grid, best score first.
        """
        last = {name: maps[-1] for name, maps in outputs.items()}
        peaks = self.peaks(last)
        return {name: value for task in self.tasks for name, value in task.decode(last, peaks).items()}

    def place(self, found: Mapping[str, Any], cameras: Any) -> dict[str, Any]:
        """Puts objects into space.

        Args:
            found: What `decode` returned, in pixels of the images instead of cells.
            cameras: [B, 3, 4] of the images, see `geometry.camera`.

        Returns:
            The same and what the tasks add, {field: [B, K, ...]}.
        """
        placed = dict(found)
        for task in self.tasks:
            placed.update(task.place(placed, cameras) if task.place else {})
        return placed
