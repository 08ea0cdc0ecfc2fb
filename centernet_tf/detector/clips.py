"""Clips of a video inside a graph, each of their frames through the trunk once.

Clips come whole, or a video does, around each of whose frames there is one, or its frames come one by one. Then what
the trunk made of the last frames is a state, as in `detector.remember`: named arrays of fixed shapes, each with one row
for its one video:

    frames      [1] int32                     frames seen so far; 0 begins a video, whatever the others hold
    model       [1] int32                     number of the model that made it
    frame_size  [1, 2] int32                  height and width of the frames, where they are fitted in the graph
    NAME        [1, h, w, (T - 1) C] float32  what was made of the last frames, the oldest first
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from centernet_tf import preprocess
from centernet_tf.detector import flip, frames
from centernet_tf.detector.graph import DetectorGraph
from centernet_tf.detector.remember import FRAMES, MODEL, Shapes, number_of
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard
from centernet_tf.model.split import FEATURES, can_split, split
from centernet_tf.points.centers import STRIDE
from centernet_tf.points.task import Input
from centernet_tf.points.task_set import TaskSet

SIZE = "frame_size"


def seen_by(tasks: TaskSet) -> Input | None:
    """The input of a network that sees nothing but clips, of pictures, which no graph associates; else None."""
    inputs = list(tasks.inputs.values())
    carries = tasks.associate is not None and tasks.associate.graph is not None
    alone = len(inputs) == 1 and inputs[0].draw is None and not carries
    return inputs[0] if alone and frames.shown(tasks.inputs) else None


def pictures_of(wanted: Input) -> tuple[int, ...]:
    """The pictures of a clip, each once and in order of time, by number from the present frame."""
    return tuple(sorted(set(wanted.pictures)))


def shown_to(tasks: TaskSet, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """What `DetectorGraph.show` takes of one clip, but sizes; of pictures [P, H, W, 3] of `pictures_of`."""
    (name,) = tasks.inputs
    wanted, known = tasks.inputs[name], pictures_of(tasks.inputs[name])
    clip = frames.side_by_side([pictures[known.index(number)] for number in wanted.pictures], wanted)
    return {"images": pictures[known.index(0)][None], name: clip[None]}


def stack(pictures: Any, wanted: Input) -> Any:
    """Pictures [B P, h, w, 3] of `pictures_of`, clip after clip, as frames that the network sees, [B T, h, w, 3 S]."""
    known = pictures_of(wanted)
    order = [known.index(number) for number in wanted.pictures]
    if wanted.stacked == 1 and order == list(range(len(known))):
        return pictures
    _, height, width, channels = ops.shape(pictures)
    pictures = ops.reshape(pictures, (-1, len(known), height, width, channels))
    groups = [order[start : start + wanted.stacked] for start in range(0, len(order), wanted.stacked)]
    seen = [ops.concatenate([pictures[:, place] for place in group], axis=-1) for group in groups]
    return ops.reshape(ops.stack(seen, axis=1), (-1, height, width, channels * wanted.stacked))


def side_by_side(values: Any, wanted: Input) -> Any:
    """[B T, h, w, C] of the frames of clips as [B, h, w, T C], a frame's channels behind those of the one before."""
    count = len(wanted.frames)
    if count == 1:
        return values
    _, height, width, channels = ops.shape(values)
    apart = ops.reshape(values, (-1, count, height, width, channels))
    return ops.reshape(ops.transpose(apart, (0, 2, 3, 1, 4)), (-1, height, width, count * channels))


def search(
    graph: DetectorGraph,
    together: Callable[..., dict[str, Any]],
    windows: Mapping[str, Any],
    fit: Any,
    sizes: Any,
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """Clips to objects.

    Args:
        graph: Of the detector.
        together: What sees the features of all frames, see `split`.
        windows: {name: [B, h, w, T C]} of what `split` makes of each frame; [2 B, ...] of a flip test.
        fit: [B, 4] of the present frames, as `DetectorGraph.fit_images` returns it.
        sizes: [B, 2] their heights and widths.
        extras: {name: [B, ...]}.

    Returns:
        {field: [B, R, ...]} in pixels of the present frames.
    """
    maps = {**together(windows[FEATURES], training=False), **windows}
    maps = {head.name: maps[head.name] for head in graph.tasks.heads}
    if graph.options.flip:
        maps = flip.join_sides(maps, graph.tasks.heads)
    return graph.cut(graph.find(maps, fit, extras), sizes)


class Held:
    """The state of a video whose frames come one by one, and what is joined with it.

    Args:
        wanted: What is seen, see `holds`.
        channels: {name: C} of what is made of each frame.
        card: Of the network's input, of fixed size.
        number: Of the model, as `remember.number_of` gives it.
        sized: Whether the frames are fitted in the graph, so that their size is part of the state.

    Attributes:
        number: As given.
        behind: By how many frames what is found comes behind the frame that came last.
        shows_previous: No pixels are held.
    """

    shows_previous: tuple[str, ...] = ()

    def __init__(self, wanted: Input, channels: Mapping[str, int], card: InputCard, number: int, sized: bool):
        self.number, self.behind = number, max(wanted.frames)
        self._before, self._channels, self._sized = len(wanted.frames) - 1, dict(channels), sized
        self._grid = (card.height // STRIDE, card.width // STRIDE)

    @staticmethod
    def holds(wanted: Input, card: InputCard) -> bool:
        """Whether frames may come one by one: neighbours, one picture each, in an input of fixed size."""
        neighbours = wanted.frames == tuple(range(wanted.frames[0], wanted.frames[-1] + 1))
        return neighbours and len(wanted.frames) > 1 and wanted.stacked == 1 and card.mode == "fixed"

    def shapes(self) -> Shapes:
        """Of the whole state."""
        own = {
            name: ((1, *self._grid, self._before * channels), "float32") for name, channels in self._channels.items()
        }
        size = {SIZE: ((1, 2), "int32")} if self._sized else {}
        return {FRAMES: ((1,), "int32"), MODEL: ((1,), "int32"), **size, **own}

    def join(
        self, made: Mapping[str, Any], state: Mapping[str, Any], sizes: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The clip that ends with a frame, and the next state.

        Args:
            made: {name: [1, h, w, C]} of the frame.
            state: As it came out with the frame before.
            sizes: [1, 2] of the frame, where the state has it.
        """
        begins = ops.equal(state[FRAMES][0], 0)
        windows, after = {}, {FRAMES: state[FRAMES] + 1, MODEL: ops.full((1,), self.number, "int32")}
        after |= {SIZE: ops.cast(sizes, "int32")} if self._sized else {}
        for name, channels in self._channels.items():
            new = ops.cast(made[name], "float32")
            # The first frame stands for those before it.
            before = ops.where(begins, ops.concatenate([new] * self._before, axis=-1), state[name])
            windows[name] = ops.concatenate([before, new], axis=-1)
            after[name] = windows[name][..., channels:]
        return windows, after

    def told(self, values: Any, state: Mapping[str, Any]) -> Any:
        """Scores [1, R], or their number [1]; 0 as long as the frame that they are of is none of the video's."""
        begun = ops.reshape(state[FRAMES] >= self.behind, (1,) * len(values.shape))
        return ops.where(begun, values, ops.zeros_like(values))


def taken_apart(network: keras.Model, tasks: TaskSet) -> tuple[keras.Model, keras.Model]:
    """`split` of a network of clips.

    Raises:
        UsageError: It cannot be split.
    """
    if not can_split(network):
        raise UsageError("This network of clips has no trunk of its own, by which files see each frame once.")
    return split(network, tasks.heads, len(seen_by(tasks).frames))


def held_by(network: keras.Model, tasks: TaskSet, card: InputCard, sized: bool = False) -> Held | None:
    """The state of a video of a network of clips; None where its frames cannot come one by one.

    Args:
        network: It.
        tasks: Of it; `seen_by` gives one.
        card: Of its input.
        sized: Whether frames are fitted in the graph.
    """
    wanted = seen_by(tasks)
    if not Held.holds(wanted, card):
        return None
    each, _ = taken_apart(network, tasks)
    channels = {name: values.shape[-1] for name, values in each.output.items()}
    return Held(wanted, channels, card, number_of(network), sized)


class Clips:
    """Clips, videos and frames to windows of what was made of each frame, as `search` takes them.

    Args:
        wanted: What is seen.
        normalization: Of the pictures.
        each: What sees one frame, see `split`: [N, h, w, 3 S] normalised -> {name: [N, h, w, C]}.
    """

    def __init__(self, wanted: Input, normalization: preprocess.Normalization, each: Callable[..., dict[str, Any]]):
        self._wanted, self._normalization, self._each = wanted, normalization, each
        self.pictures = pictures_of(wanted)
        self.present = self.pictures.index(0)

    def of_clips(self, fitted: Any) -> dict[str, Any]:
        """Of whole clips, [B P, h, w, 3] in 0..1, the pictures of a clip one behind the other."""
        seen = stack(preprocess.normalize(fitted, self._normalization), self._wanted)
        return {name: side_by_side(values, self._wanted) for name, values in self._each(seen, training=False).items()}

    def of_video(self, fitted: Any) -> dict[str, Any]:
        """Of all frames of a video, [N, h, w, 3] in 0..1, with a clip around each.

        Where the video begins or ends, its first or last frame stands for those beyond.
        """
        seen = preprocess.normalize(fitted, self._normalization)
        count, last, stacked = ops.shape(seen)[0], ops.shape(seen)[0] - 1, self._wanted.stacked
        ahead, total = 0, count
        if stacked > 1:  # Beyond the ends, pictures are repeated and not frames.
            ahead, total = -min(self._wanted.frames), count + max(self._wanted.frames) - min(self._wanted.frames)
            places = ops.arange(total, dtype="int32") - ahead
            parts = [ops.take(seen, ops.clip(places + place, 0, last), axis=0) for place in range(stacked)]
            seen = ops.concatenate(parts, axis=-1)
        made, places = self._each(seen, training=False), ops.arange(count, dtype="int32") + ahead
        return {
            name: ops.concatenate(
                [ops.take(values, ops.clip(places + one, 0, total - 1), axis=0) for one in self._wanted.frames], axis=-1
            )
            for name, values in made.items()
        }

    def of_frame(self, fitted: Any) -> dict[str, Any]:
        """What is made of frames [N, h, w, 3] in 0..1 by themselves."""
        return self._each(preprocess.normalize(fitted, self._normalization), training=False)
