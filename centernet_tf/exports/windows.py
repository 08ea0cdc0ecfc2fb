"""A video through an exported model, frame by frame: what is found around each, and what of that belongs together."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from centernet_tf.detector import extras as own
from centernet_tf.detector import frames as beside
from centernet_tf.detector.clips import pictures_of
from centernet_tf.detector.entries import Image, as_image
from centernet_tf.errors import DataError
from centernet_tf.exports.carried import Carried
from centernet_tf.points.task import Association
from centernet_tf.results import Detections

if TYPE_CHECKING:
    from centernet_tf.exports.runner import Runner


class Windows:
    """One video through a runner; `push` and `finish` tell of its frames in order, each once later ones are seen.

    Args:
        runner: Of the model.
        threshold: Scores up to this are left out.
        extras: {name: value} of all frames beside their pixels.

    Attributes:
        carried: The state between frames, where the file has one for clips: with it another process can go on.
    """

    def __init__(self, runner: "Runner", threshold: float = 0.0, extras: Mapping[str, Any] | None = None):
        self._runner, self._threshold = runner, threshold
        self._extras = own.complete(dict(extras or {}), runner.extras)
        held = runner.clip is not None and runner.state is not None
        self.carried = Carried(runner.state, str(runner.path)) if held else None
        self._window: beside.Window[np.ndarray] = beside.Window({"clip": runner.clip} if runner.clip else {})
        self._last: np.ndarray | None = None
        self._seen = 0

    def push(self, frame: Image) -> Iterator[Detections]:
        """Takes in the next frame, and tells of those of which all is seen: none or one.

        Raises:
            DataError: It has another size than those before.
        """
        image = as_image(frame)
        if self._last is not None and image.shape != self._last.shape:
            (height, width, _), (last_height, last_width, _) = image.shape, self._last.shape
            raise DataError(
                f"frame {self._seen} (from 0) has {width}x{height} pixels, the one before {last_width}x{last_height}. "
                "A video has frames of one size."
            )
        self._last = image
        self._seen += 1
        if self.carried is not None:
            yield from self._step(image)
        elif self._runner.clip is None:
            found = self._runner(image, **self._extras)
            yield found[found.scores > self._threshold]
        else:
            yield from map(self._of_clip, self._window.push(image))

    def finish(self) -> Iterator[Detections]:
        """Tells of the frames that waited for later ones; the last one stands for those."""
        if self._last is None:
            return
        if self.carried is not None:
            for _ in range(self._runner.state.behind):
                yield from self._step(self._last)
        elif self._runner.clip is not None:
            yield from map(self._of_clip, self._window.finish())

    def _step(self, image: np.ndarray) -> Iterator[Detections]:
        inputs, fit = self._runner.fit(image)
        given = {**self._runner.fit_extras(self._extras, fit), **self.carried.arguments(inputs)}
        answers = self.carried.take(self._runner.run_frame(inputs, given), inputs)
        # The state may be of a video that another process began.
        if self.carried.frames > self._runner.state.behind:
            yield self._found(answers, inputs, fit)

    def _of_clip(self, entry: tuple[np.ndarray, Mapping[str, list[np.ndarray]]]) -> Detections:
        _, seen = entry
        wanted = self._runner.clip
        shown = dict(zip(wanted.pictures, seen["clip"]))
        inputs, fit = self._runner.fit(np.stack([shown[number] for number in pictures_of(wanted)]))
        return self._found(self._runner.run(inputs, self._runner.fit_extras(self._extras, fit)), inputs, fit)

    def _found(self, answers: Mapping[str, np.ndarray], inputs: Any, fit: np.ndarray) -> Detections:
        found = self._runner.finish(answers, inputs, fit, self._last, self._extras)  # all frames have one size
        return found[found.scores > self._threshold]


def linked(windows: Iterable[Detections], association: Association | None) -> Iterator[Detections]:
    """What an association makes of what was found in the frames of a video, as `detector.follow.follow` yields it."""
    if association is None:
        yield from windows
        return
    memory = association.start()
    for found in windows:
        told, memory = association.step(found, memory)
        yield from told
    yield from association.finish(memory)
