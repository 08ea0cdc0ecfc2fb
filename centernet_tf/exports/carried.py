"""The state of a video between the calls of an exported model: what goes in with a frame, and comes out.

    carried = Carried(about.state, "phone.tflite")
    answers = carried.take(run(frame, **carried.arguments(frame)), frame)

Everything here is NumPy, for clients of a server have no Keras. `detector.remember` says what a state holds.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from centernet_tf.errors import DataError, UsageError

PREFIX = "state_"  # of arguments and answers
PREVIOUS, MODEL, FRAMES = f"{PREFIX}previous", f"{PREFIX}model", f"{PREFIX}frames"
PREVIOUS_BYTES = f"{PREVIOUS}_bytes"  # in place of it, where frames are files


@dataclasses.dataclass(frozen=True)
class State:
    """What a file says of its state.

    Attributes:
        model: By which a state knows its model.
        arrays: {argument: (shape, type)}.
        previous: Whether the last frame is an argument too, `PREVIOUS`, of the same kind as the frame.
        behind: Of a model that sees clips, by how many frames an answer comes behind the frame that came last; until
            then, scores are 0. None of a model that tracks.
    """

    model: int
    arrays: Mapping[str, tuple[tuple[int, ...], str]]
    previous: bool
    behind: int | None = None

    def as_plain(self) -> dict[str, Any]:
        """Ready for JSON."""
        arrays = {name: [list(shape), dtype] for name, (shape, dtype) in self.arrays.items()}
        behind = {} if self.behind is None else {"behind": self.behind}
        return {"model": self.model, "previous": self.previous, **behind, "arrays": arrays}

    @classmethod
    def from_plain(cls, plain: Any) -> "State":
        """What `as_plain` made; raises ValueError, KeyError or TypeError where it is damaged."""
        arrays = {
            str(name): (tuple(map(int, shape)), np.dtype(dtype).name)
            for name, (shape, dtype) in plain["arrays"].items()
        }
        behind = plain.get("behind")
        return cls(int(plain["model"]), arrays, bool(plain["previous"]), None if behind is None else int(behind))


class Carried:
    """Holds the state of one video.

    Args:
        state: What the file says of it.
        where: Name of the file or the server, for messages.
        previous: The argument that takes the last frame.
    """

    def __init__(self, state: State, where: str, previous: str = PREVIOUS):
        self._state, self._where, self._previous = state, where, previous
        self.reset()

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        self._held = {name: np.zeros(shape, dtype) for name, (shape, dtype) in self._state.arrays.items()}
        self._frame: Any = None

    def arguments(self, frame: Any) -> dict[str, Any]:
        """What goes in with a frame: {argument: array}.

        Args:
            frame: As the image argument takes it, such as an array or the bytes of a file.
        """
        previous = {self._previous: frame if self._frame is None else self._frame} if self._state.previous else {}
        return {**self._held, **previous}

    def take(self, answers: Mapping[str, Any], frame: Any) -> dict[str, Any]:
        """Keeps the next state.

        Args:
            answers: What came out, {answer: array}.
            frame: What went in.

        Returns:
            The answers without the state.

        Raises:
            DataError: A part of the state is missing or of another shape.
        """
        held = {name: self._checked(name, answers) for name in self._state.arrays}
        self._held, self._frame = held, frame
        return {name: values for name, values in answers.items() if not name.startswith(PREFIX)}

    def _checked(self, name: str, answers: Mapping[str, Any]) -> np.ndarray:
        shape, dtype = self._state.arrays[name]
        try:
            found = np.asarray(answers[name]) if name in answers else None
        except ValueError:  # rows of different lengths
            found = None
        sound = found is not None and found.dtype.kind in "fiu" and found.shape == shape and np.isfinite(found).all()
        if not sound:
            came = "nothing" if found is None else f"{found.shape} {found.dtype}, or values that are not finite"
            raise DataError(
                f"{self._where}: {name} comes out as {came}; expected {shape} {dtype}. Export the model again."
            )
        return found.astype(dtype)

    @property
    def frames(self) -> int:
        """How many frames are in the state."""
        return int(self._held[FRAMES][0])

    @property
    def state(self) -> dict[str, Any]:
        """All that is carried, to be kept and given to `restore` later or elsewhere."""
        return {**self._held, **({} if self._frame is None else {self._previous: self._frame})}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken.

        Raises:
            UsageError: It is of another model, or of a file with other sizes.
        """
        for name, (shape, dtype) in self._state.arrays.items():
            came = np.asarray(state[name]) if name in state else None
            if came is None or came.shape != shape or came.dtype != np.dtype(dtype):
                told = "nothing" if came is None else f"{came.shape} {came.dtype}"
                raise UsageError(f"{self._where}: a state has {told} for {name}; expected {shape} {dtype}. {_OTHER}")
        if (number := int(state[MODEL][0])) not in (0, self._state.model):
            raise UsageError(f"{self._where}: a state of model {number}; this one is {self._state.model}. {_OTHER}")
        if number and self._state.previous and state.get(self._previous) is None:
            raise UsageError(f"{self._where}: a state has nothing for {self._previous}, the last frame. {_OTHER}")
        self._held = {name: np.array(state[name]) for name in self._state.arrays}
        self._frame = state.get(self._previous)


_OTHER = "A state belongs to the file that it came from; `reset` begins another video."
