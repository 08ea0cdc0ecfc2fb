"""Several tasks on one trunk."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import keras

from centernet_tf.geometry.affine import Window
from centernet_tf.points.task import Association, Clip, Extra, Find, Head, Input, Task, Term
from centernet_tf.properties.fields import SHARED, Field, Motion
from centernet_tf.properties.property import Property

MOVING = ("boxes", "points", "vectors")  # motions of what is found, from cells to pixels

Entry = TypeVar("Entry", Head, Term, Field, Extra, Find, Property)


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
        peaks_at: (outputs, cells) -> peaks, those of cells that somebody chose; None where nobody may.
    """

    tasks: tuple[Task, ...]
    locate: Callable[[Mapping[str, Any], tuple[int, int]], dict[str, Any]]
    peaks: Callable[[Mapping[str, Any]], dict[str, Any]]
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    peaks_at: Callable[[Mapping[str, Any], Any], dict[str, Any]] | None = None

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
    def finds(self) -> tuple[Find, ...]:
        """What is found besides boxes, scores and classes, each once."""
        return tuple(find for find in self._all_finds if not find.inner)

    @property
    def _all_finds(self) -> tuple[Find, ...]:
        """With those that only `place` reads."""
        return _union(find for task in self.tasks for find in task.finds)

    @property
    def properties(self) -> tuple[Property, ...]:
        """The properties that the tasks learn, each once."""
        return _union(task.property for task in self.tasks if task.property is not None)

    @property
    def extras(self) -> tuple[Extra, ...]:
        """What is needed of each image beside its pixels, each once."""
        return _union(extra for task in self.tasks for extra in task.extras)

    @property
    def motions(self) -> dict[str, Motion]:
        """How what is found moves from cells of the grid to pixels of the image, for all that does."""
        shared = {field.name: field.motion for field in SHARED if field.motion in MOVING}
        return {**shared, **{find.name: find.motion for find in self._all_finds if find.motion in MOVING}}

    @property
    def inputs(self) -> dict[str, Input]:
        """The named inputs of the network, each once.

        Raises:
            ValueError: Two tasks mean different inputs by one name.
        """
        named: dict[str, Input] = {}
        for task in self.tasks:
            for name, wanted in task.inputs.items():
                if named.setdefault(name, wanted) != wanted:
                    raise ValueError(
                        f"Tasks disagree on input {name!r}: {named[name]} and {wanted}. Rename one of them."
                    )
        return named

    @property
    def window(self) -> Window:
        """What of an image fills the width of a fixed input."""
        wanted = {task.window for task in self.tasks}
        return wanted.pop() if len(wanted) == 1 else "longer side"

    @property
    def shifted_sizes(self) -> bool:
        """Whether sizes of boxes move as points do."""
        return all(task.shifted_sizes for task in self.tasks)

    @property
    def clipped(self) -> bool:
        """Whether found boxes are cut to the images' last pixels."""
        return all(task.clipped for task in self.tasks)

    @property
    def associate(self) -> Association | None:
        """What makes detections of a video belong together; None for single images.

        Raises:
            ValueError: Several tasks say how.
        """
        fault = "Several tasks associate detections over time. Set associates: false where a task has it."
        return self._only("associate", fault)

    @property
    def fuse(self) -> Callable[..., dict[str, Any]] | None:
        """What makes the maps of images and those of optical flow one answer; None where nothing does.

        Raises:
            ValueError: Several tasks say how.
        """
        return self._only("fuse", "Several tasks fuse two networks. Use them apart.")

    @property
    def clip(self) -> Clip | None:
        """How several frames make one sample to train on; None for single images.

        Raises:
            ValueError: Several tasks say how.
        """
        return self._only("clip", "Several tasks join the frames of a clip. Train them apart.")

    @property
    def frames(self) -> tuple[int, ...]:
        """Which frames of a video the network sees, by their distance from the present one, in order."""
        shown = {offset for wanted in self.inputs.values() if wanted.draw is None for offset in wanted.pictures}
        return tuple(sorted({0, *shown}))

    def _only(self, name: str, fault: str) -> Any:
        """What at most one of the tasks says under this name; None where none does."""
        said = [getattr(task, name) for task in self.tasks if getattr(task, name) is not None]
        if len(said) > 1:
            raise ValueError(fault)
        return said[0] if said else None

    @property
    def layers(self) -> tuple[keras.layers.Layer, ...]:
        """Layers of the loss that own weights: trained and saved for resuming, but no part of the model."""
        functions = [*(term.function for term in self.terms), *(task.combine for task in self.tasks)]
        return tuple(dict.fromkeys(one for one in functions if isinstance(one, keras.layers.Layer)))

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
        """Unweighted value of every term, averaged over the stacks, or summed where it says so.

        Args:
            outputs: {head: [map per stack]}.
            targets: What `encode` returned.

        Returns:
            {term: scalar}.
        """
        values = {}
        for term in self.terms:
            stacks = list(zip(*(outputs[name] for name in term.reads)))
            total = sum(term.function(*maps, targets[term.name]) for maps in stacks)
            values[term.name] = total if term.summed else total / len(stacks)
        return values

    def total(self, losses: Mapping[str, Any]) -> Any:
        """The scalar that trains: the weighted sum of the values of `losses`, or what a task makes of them.

        Raises:
            ValueError: Several tasks say how.
        """
        weighted = {term.name: term.weight * losses[term.name] for term in self.terms}
        combine = self._only("combine", "Several tasks combine the terms of the loss. Train them apart.")
        return combine(weighted) if combine else sum(weighted.values())

    def decode(self, outputs: Mapping[str, list[Any]], cells: Any = None) -> dict[str, Any]:
        """Maps to objects.

        Args:
            outputs: {head: [map per stack]}; the last stack is read.
            cells: [B, P] int32, y * w + x: what is there, instead of what is at the peaks.

        Returns:
            {field: [B, K, ...]} in cells of the output grid, best score first; [B, P, ...] of cells that are given, in
            their order, and "class_scores" [B, P, C].
        """
        last = {name: maps[-1] for name, maps in outputs.items()}
        peaks = self.peaks(last) if cells is None else self.peaks_at(last, cells)
        found = {name: value for task in self.tasks for name, value in task.decode(last, peaks).items()}
        return found if cells is None else {**found, "class_scores": peaks["class_scores"]}

    def place(self, found: Mapping[str, Any], extras: Mapping[str, Any]) -> dict[str, Any]:
        """Adds what takes more than the image to tell, such as places in space.

        Args:
            found: What `decode` returned, in pixels of the images instead of cells.
            extras: {name: [B, ...]} of `extras`, of the images.

        Returns:
            The same and what the tasks add, {field: [B, K, ...]}.
        """
        placed = dict(found)
        for task in self.tasks:
            placed.update(task.place(placed, extras) if task.place else {})
        for find in self._all_finds:
            if find.inner:
                placed.pop(find.name, None)
        if self.associate is not None and self.associate.follows:
            anchor = self._only("anchor", "Several tasks say which point of an object is followed. Use them apart.")
            placed |= {self.associate.follows: placed[anchor]} if anchor else {}
        return placed
