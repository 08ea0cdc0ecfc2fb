"""What a network sees beside the present image: other frames of its video, and rows that inputs are drawn from."""

import collections
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from keras import ops

from centernet_tf.points.task import Input
from centernet_tf.points.task_set import TaskSet
from centernet_tf.properties.property import Rows

ROWS = "rows"
# A frame of a video is the present one and later stands beside those that follow. Fitted when it comes, it is fitted
# once. Beside an image this is the present frame, and {input that is not drawn: the frames of its pictures}, each as
# `graph.FrameGraph.fit` made it; in a batch, for each scale {input: [B, h, w, 3 S] or [B, T, h, w, 3 S]}.
FITTED = "fitted"

Frame = TypeVar("Frame")


def shown(inputs: Mapping[str, Input]) -> dict[str, Input]:
    """The inputs that show more than the present image."""
    single = {"image"} if "image" in inputs and len(inputs["image"].pictures) == 1 else set()
    return {name: wanted for name, wanted in inputs.items() if wanted.draw is None and name not in single}


def are_drawn(inputs: Mapping[str, Input]) -> bool:
    """Whether any of them is drawn from rows."""
    return any(wanted.draw is not None for wanted in inputs.values())


def windows(
    frames: Iterable[np.ndarray], inputs: Mapping[str, Input]
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """The frames of a video, each with the others that the network sees beside it.

    Where a video begins or ends, its first or last frame stands for those beyond. As few frames as possible are held.

    Args:
        frames: [H, W, 3] each, in order.
        inputs: Of the network.

    Yields:
        The present frame, and {input: [H, W, 3], or [T, H, W, 3] of clips}; of S pictures for each frame 3 S channels.
    """
    window, wanted = Window(inputs), shown(inputs)
    for present, seen in itertools.chain(itertools.chain.from_iterable(map(window.push, frames)), window.finish()):
        yield present, {name: side_by_side(seen[name], one) for name, one in wanted.items()}


def reach(inputs: Mapping[str, Input]) -> tuple[int, int]:
    """How far before and behind the present frame the network sees, such as (-2, 0)."""
    offsets = [0, *(offset for one in shown(inputs).values() for offset in one.pictures)]
    return min(offsets), max(offsets)


class Window(Generic[Frame]):
    """`windows` of frames that come one by one, whatever stands for a frame.

    Args:
        inputs: Of the network.
    """

    def __init__(self, inputs: Mapping[str, Input]):
        self._wanted = {name: wanted for name, wanted in inputs.items() if wanted.draw is None}
        first, self._after = reach(inputs)
        self._before = -first
        self._held: collections.deque[Frame] = collections.deque(maxlen=self._before + 1 + self._after)

    def push(self, frame: Frame) -> Iterator[tuple[Frame, dict[str, list[Frame]]]]:
        """What can be seen once this frame is there: a present one, and {input that is not drawn: its `pictures`}."""
        # The first frame stands for those before it.
        for one in itertools.repeat(frame, 1 if self._held else 1 + self._before):
            self._held.append(one)
        if len(self._held) == self._held.maxlen:
            place, wanted = self._before, self._wanted.items()
            seen = {name: [self._held[place + offset] for offset in one.pictures] for name, one in wanted}
            yield self._held[place], seen

    def finish(self) -> Iterator[tuple[Frame, dict[str, list[Frame]]]]:
        """The frames that waited for later ones; the last one stands for those."""
        for _ in range(self._after if self._held else 0):
            yield from self.push(self._held[-1])


def side_by_side(pictures: Sequence[np.ndarray], wanted: Input) -> np.ndarray:
    """Pictures [H, W, 3] in the order of `Input.pictures` as the network sees them: [H, W, 3 S], or [T, H, W, 3 S]."""
    each = wanted.stacked
    groups = [pictures[start : start + each] for start in range(0, len(pictures), each)]
    frames = [np.concatenate(group, axis=-1) if each > 1 else group[0] for group in groups]
    return np.stack(frames) if len(frames) > 1 else frames[0]


def split(given: Mapping[str, Any], inputs: Mapping[str, Input]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is given beside an image: what the network sees, and the rest, its extras."""
    others = shown(inputs)
    names = {*others, *([FITTED] if others else []), *([ROWS] if are_drawn(inputs) else [])}
    return (
        {name: value for name, value in given.items() if name in names},
        {name: value for name, value in given.items() if name not in names},
    )


def complete(given: Mapping[str, Any], tasks: TaskSet, image: np.ndarray) -> dict[str, Any]:
    """Everything that the network sees beside one image.

    Args:
        given: As `windows` yields it, or `FITTED` in place of all frames; and "rows" {field: [N, ...]} in pixels of the
            image. For what is left out, the image itself stands in, and the rows of a video that begins.
        tasks: Of the network.
        image: [H, W, 3].

    Raises:
        ValueError: Frames are not of the image's size, or nobody says from which rows an input is drawn.
    """
    seen: dict[str, Any] = {FITTED: given[FITTED]} if FITTED in given else {}
    for name, wanted in {} if seen else shown(tasks.inputs).items():
        if name in given:
            seen[name] = np.asarray(given[name])
        else:
            seen[name] = side_by_side([image] * len(wanted.pictures), wanted)
        shape = (*image.shape[:2], image.shape[2] * wanted.stacked)
        shape = (len(wanted.frames), *shape) if len(wanted.frames) > 1 else shape
        if seen[name].shape != shape:
            raise ValueError(f"{name} has shape {seen[name].shape}; expected {shape} beside an image {image.shape}.")
    if are_drawn(tasks.inputs):
        seen[ROWS] = given[ROWS] if ROWS in given else _rows_at_start(tasks)
    return seen


def _rows_at_start(tasks: TaskSet) -> Rows:
    association = tasks.associate
    if association is None or association.recall is None:
        raise ValueError("This model draws an input from rows, and none are given. Give rows beside the image.")
    return association.recall(association.start())


def pack(seen: Sequence[Mapping[str, Any]], tasks: TaskSet, shape: tuple[int, int], limit: int) -> dict[str, Any]:
    """A batch of what `complete` returned.

    Args:
        seen: Of each image.
        tasks: Of the network.
        shape: Height and width in pixels that images of the batch are padded to.
        limit: Rows are padded to a multiple of it, so that few shapes need compiling.

    Returns:
        {input: [B, H, W, 3 S] or [B, T, H, W, 3 S]}, or `FITTED` with "images" and "sizes"; and "rows" {field:
        [B, N, ...], "valid": [B, N] bool}.
    """
    fitted = [one[FITTED] for one in seen if FITTED in one]
    packed: dict[str, Any] = _pack_fitted(fitted, tasks.inputs) if fitted else {}
    for name in {} if fitted else shown(tasks.inputs):
        frames = [one[name] for one in seen]
        packed[name] = np.zeros((len(frames), *frames[0].shape[:-3], *shape, frames[0].shape[-1]), np.uint8)
        for row, frame in zip(packed[name], frames):
            row[..., : frame.shape[-3], : frame.shape[-2], :] = frame
    if are_drawn(tasks.inputs):
        packed[ROWS] = _pack_rows([one[ROWS] for one in seen], tasks, limit)
    return packed


def _pack_fitted(
    given: Sequence[tuple[Any, Mapping[str, Sequence[Any]]]], inputs: Mapping[str, Input]
) -> dict[str, Any]:
    present = [frame for frame, _ in given]
    packed = {name: _joined([frame[name] for frame in present]) for name in present[0] if name != FITTED}
    packed[FITTED] = [
        {
            name: _joined([_clip([frame[FITTED][scale] for frame in seen[name]], inputs[name]) for _, seen in given])
            for name in given[0][1]
        }
        for scale in range(len(present[0][FITTED]))
    ]
    return packed


def _clip(fitted: Sequence[Any], wanted: Input) -> Any:
    """`side_by_side` of pictures [1, h, w, 3] that are fitted: [1, h, w, 3 S] or [1, T, h, w, 3 S]."""
    each = wanted.stacked
    frames = [_joined(fitted[start : start + each], axis=-1) for start in range(0, len(fitted), each)]
    return frames[0] if len(frames) == 1 else ops.stack(frames, axis=1)


def _joined(parts: Sequence[Any], axis: int = 0) -> Any:
    """One of several; a single one stays as it is, which costs nothing."""
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis)


def _pack_rows(rows: Sequence[Rows], tasks: TaskSet, limit: int) -> dict[str, np.ndarray]:
    fills = {field.name: field.fill for field in tasks.fields}
    counts = [len(one["boxes"]) for one in rows]
    length = limit * max(1, -(-max(counts) // limit))
    packed = {"valid": np.arange(length) < np.array(counts)[:, None]}
    for name, first in rows[0].items():
        packed[name] = np.full((len(rows), length, *first.shape[1:]), fills.get(name, 0), first.dtype)
        for row, one in zip(packed[name], rows):
            row[: len(one[name])] = one[name]
    return packed
