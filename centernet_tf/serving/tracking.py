"""Follows the objects of a video through a served model: the state is held here, the server keeps nothing.

Of a model that associates in its graph, the state goes to the server and back with each frame; of one that recognises
objects by what it finds in single images, they are associated here; of one that sees clips, both.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.carried import PREVIOUS_BYTES, Carried, State
from centernet_tf.media.images import inspect_header, read_bytes
from centernet_tf.results import Detections

SIGNATURE, CLIPS_SIGNATURE = "track_bytes", "stream_bytes"


class Connection(Protocol):
    """What a tracker needs of `client.Client`."""

    address: str

    def request(self, files: Any, further: Any, signature: str) -> Mapping[str, Any]: ...
    def check(self, outputs: Any, count: int) -> dict[str, np.ndarray]: ...
    def check_extras(self, extras: Any, count: int) -> dict[str, np.ndarray]: ...
    def finish(self, rows: Any, sizes: Any, extras: Any, threshold: float) -> list[Detections]: ...
    def predict(self, images: Any, threshold: float, **extras: Any) -> list[Detections]: ...


def open_tracker(
    client: Connection, about: str | Path | Mapping[str, Any]
) -> "ServedTracker | ServedWindows | HostTracker":
    """A tracker through a client; arguments and errors as of `client.Client.tracker`."""
    content, where = (about, "model.json") if isinstance(about, Mapping) else (_read(Path(about)), str(about))
    state = content.get("state")
    if isinstance(state, Mapping) and state.get("behind") is not None:
        return ServedWindows(client, content, where)
    return (ServedTracker if state else HostTracker)(client, content, where)


class HostTracker:
    """One video, frame by frame, of a model that finds in single images what tells who is who."""

    def __init__(self, client: Connection, content: Mapping[str, Any], where: str):
        # What clients do besides works without Keras, which tasks need.
        from centernet_tf.exports.about import read_about

        about = read_about(json.dumps(content), where)
        association = about.associate
        if about.clip is not None:
            raise UsageError(
                f"{where}: of a model whose frames cannot come one by one. Send clips or parts of the video to the "
                "signatures `image_bytes` and `video_bytes` with `request`."
            )
        if association is None:
            raise UsageError(f"{where}: of a model of single images. Export one of videos, or use `predict`.")
        self._client, self._association = client, association
        self.reset()

    def step(self, frame: bytes | str | Path, **extras: Any) -> Detections:
        """Sends the next frame; arguments, answers and errors as of `ServedTracker.step`.

        Raises:
            DataError: The frame has another size than the first.
        """
        (found,) = self._client.predict([frame], 0.0, **extras)
        self._size = self._size or found.image_size
        if found.image_size != self._size:
            came, first = ("x".join(map(str, size)) for size in (found.image_size, self._size))
            raise DataError(f"The frame has {came} pixels, the first one {first}. Call `reset` to begin another video.")
        (told,), self._memory = self._association.step(found, self._memory)
        return told

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        self._size: tuple[int, int] | None = None
        self._memory = self._association.start()


class ServedTracker:
    """One video, frame by frame, as `client.Client.tracker` gives it; not to be shared between threads.

    Attributes:
        carried: The state between frames; `carried.state` and `carried.restore` let another process go on.
    """

    def __init__(self, client: Connection, content: Mapping[str, Any], where: str):
        try:
            self._state = state = State.from_plain(content["state"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f'{where}: "state" in it is damaged ({error!r}). Export the model again.') from None
        self._client = client
        self.carried = Carried(state, client.address, PREVIOUS_BYTES)

    def step(self, frame: bytes | str | Path, **extras: Any) -> Detections:
        """Sends the next frame.

        Args:
            frame: A file or its bytes: JPEG, PNG, GIF or BMP; all frames of a video have one size.
            extras: What the model needs of each frame beside its pixels, by name.

        Returns:
            Its objects in pixels of the frame, with "track_ids" [K] among their `fields`.

        Raises:
            DataError: The file is missing or no image; nothing is sent.
            ServerError: As of `Client.predict`; also where the frame has another size than the one before.
        """
        return self._send(frame, extras, SIGNATURE, 0.0)

    def _send(
        self, frame: bytes | str | Path, extras: Mapping[str, Any], signature: str, threshold: float
    ) -> Detections:
        data = read_bytes(frame)
        header = inspect_header(data, "the frame" if isinstance(frame, bytes) else str(frame))
        values = self._client.check_extras(extras, 1)
        file = np.array([data], object)
        outputs = self._client.request([data], {**values, **self.carried.arguments(file)}, signature)
        rows = self._client.check(outputs, 1)
        self.carried.take(outputs, file)
        return self._client.finish(rows, [(header.width, header.height)], values, threshold)[0]

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        self.carried.reset()


class ServedWindows(ServedTracker):
    """One video, frame by frame, of a model that sees clips: it tells of a frame once those are seen that follow it.

    Not to be shared between threads.

    Attributes:
        carried: As of `ServedTracker`.
    """

    def __init__(self, client: Connection, content: Mapping[str, Any], where: str):
        super().__init__(client, content, where)
        self._about = json.dumps(content), where

    def step(self, frame: bytes | str | Path, **extras: Any) -> Detections:
        """Raises UsageError: this model cannot tell of a frame when it comes."""
        raise UsageError("This model tells of a frame once later ones are seen. Take `windows`, `follow` or `push`.")

    def push(self, frame: bytes | str | Path, threshold: float = 0.0, **extras: Any) -> list[Detections]:
        """Sends the next frame; arguments and errors as of `ServedTracker.step`.

        Returns:
            What is found in the clip around the frame so many before, in pixels of the frame; nothing before the first.
        """
        found = self._send(frame, extras, CLIPS_SIGNATURE, threshold)
        return [found] if self.carried.frames > self._state.behind else []

    def windows(
        self, frames: Iterable[bytes | str | Path], threshold: float = 0.0, **extras: Any
    ) -> Iterator[Detections]:
        """What is found in each frame of a whole video, in order: in the clip around it.

        Where the video begins or ends, its first or last frame stands for those beyond.
        """
        self.reset()
        last = None
        for last in frames:
            yield from self.push(last, threshold, **extras)
        for _ in range(0 if last is None else self._state.behind):
            yield from self.push(last, threshold, **extras)

    def follow(
        self, frames: Iterable[bytes | str | Path], threshold: float = 0.0, **extras: Any
    ) -> Iterator[Detections]:
        """`windows`, and what of that belongs together, as `detector.follow.follow` tells it; needs Keras."""
        # What clients do besides works without Keras, which tasks need.
        from centernet_tf.exports.about import read_about
        from centernet_tf.exports.windows import linked

        return linked(self.windows(frames, threshold, **extras), read_about(*self._about).associate)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Give assets/model.json of the export.") from None
    if not isinstance(content, Mapping):
        raise UsageError(f"{path}: holds no model's description. Give assets/model.json of the export.")
    return content
