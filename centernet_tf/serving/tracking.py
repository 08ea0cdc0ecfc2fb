"""Follows the objects of a video through a served model: the state is held here, the server keeps nothing.

Of a model that associates in its graph, the state goes to the server and back with each frame; of one that recognises
objects by what it finds in single images, they are associated here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from centernet_tf.errors import DataError, UsageError
from centernet_tf.export.carried import PREVIOUS_BYTES, Carried, State
from centernet_tf.media.images import inspect_header, read_bytes
from centernet_tf.results import Detections

SIGNATURE = "track_bytes"


class Connection(Protocol):
    """What a tracker needs of `client.Client`."""

    address: str

    def request(self, files: Any, further: Any, signature: str) -> Mapping[str, Any]: ...
    def check(self, outputs: Any, count: int) -> dict[str, np.ndarray]: ...
    def check_extras(self, extras: Any, count: int) -> dict[str, np.ndarray]: ...
    def finish(self, rows: Any, sizes: Any, extras: Any, threshold: float) -> list[Detections]: ...
    def predict(self, images: Any, threshold: float, **extras: Any) -> list[Detections]: ...


def open_tracker(client: Connection, about: str | Path | Mapping[str, Any]) -> "ServedTracker | HostTracker":
    """A tracker through a client; arguments and errors as of `client.Client.tracker`."""
    content, where = (about, "model.json") if isinstance(about, Mapping) else (_read(Path(about)), str(about))
    return (ServedTracker if content.get("state") else HostTracker)(client, content, where)


class HostTracker:
    """One video, frame by frame, of a model that finds in single images what tells who is who."""

    def __init__(self, client: Connection, content: Mapping[str, Any], where: str):
        # What clients do besides works without Keras, which tasks need.
        from centernet_tf.export.about import read_about

        association = read_about(json.dumps(content), where).associate
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
            state = State.from_plain(content["state"])
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
        data = read_bytes(frame)
        header = inspect_header(data, "the frame" if isinstance(frame, bytes) else str(frame))
        values = self._client.check_extras(extras, 1)
        file = np.array([data], object)
        outputs = self._client.request([data], {**values, **self.carried.arguments(file)}, SIGNATURE)
        rows = self._client.check(outputs, 1)
        self.carried.take(outputs, file)
        return self._client.finish(rows, [(header.width, header.height)], values, 0.0)[0]

    def reset(self) -> None:
        """Forgets everyone: the next frame is the first of another video."""
        self.carried.reset()


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}). Give assets/model.json of the export.") from None
    if not isinstance(content, Mapping):
        raise UsageError(f"{path}: holds no model's description. Give assets/model.json of the export.")
    return content
