"""H.264 videos through PyAV, which browsers, phones and messengers play; OpenCV's wheels write none.

PyAV (package `av`, extra `video`) brings FFmpeg with x264, which is under the GPL.
"""

import contextlib
import functools
import importlib.util
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av import VideoFrame

ENCODERS = ("libx264", "libopenh264")
# x264's usual preset takes about twice as long for little smaller files.
PRESET = "veryfast"
_MATRIX = 6  # FFmpeg's number of BT.601, which it makes of RGB; of large videos players would guess BT.709


@functools.cache
def encoder() -> str | None:
    """The encoder to use; None where PyAV is not installed or was built without any."""
    if importlib.util.find_spec("av") is None:
        return None
    from av.codec import Codec
    from av.error import FFmpegError

    for name in ENCODERS:
        with contextlib.suppress(FFmpegError, ValueError):
            Codec(name, "w")
            return name
    return None


class H264Writer:
    """Writes frames as an .mp4 file, as `cv2.VideoWriter` does.

    Args:
        path: Where to.
        rate: Frames per second.
        size: (width, height) in pixels, both even.

    Raises:
        OSError: It cannot be written; so do the methods.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]):
        import av

        self._frame = av.VideoFrame.from_ndarray
        with _as_os_error():
            # The index comes first, so that a browser begins before it has all.
            self._file = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
            self._stream = self._file.add_stream(encoder(), rate=Fraction(rate).limit_denominator(1001))
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"preset": PRESET} if encoder() == "libx264" else {}
        self._stream.codec_context.colorspace = _MATRIX

    def write(self, image: np.ndarray) -> None:
        """Adds a frame [H, W, 3] uint8 RGB."""
        self._encode(self._frame(np.ascontiguousarray(image), format="rgb24"))

    def release(self) -> None:
        """Finishes the file. A second call does nothing, nor does one behind an error."""
        if self._file is not None:
            self._encode(None)
            file, self._file = self._file, None
            with _as_os_error():
                file.close()

    def _encode(self, frame: "VideoFrame | None") -> None:
        """Adds a frame, or with None what the encoder still holds."""
        file, self._file = self._file, None
        with _as_os_error():
            file.mux(self._stream.encode(frame))
        self._file = file  # only now: FFmpeg crashes where a file is finished whose beginning could not be written


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    from av.error import FFmpegError

    try:
        yield
    except FFmpegError as error:
        raise OSError(error.errno, error.strerror) from error
