"""Videos and webcams in, annotated videos out, frame by frame. Sound is not carried over.

OpenCV reads them, and writes MPEG-4; where PyAV is installed, H.264 is written instead.
"""

import contextlib
import dataclasses
import itertools
import math
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.host.files import beside, sync_file, telling, writes_straight
from centernet_tf.host.reading import is_text, printable
from centernet_tf.media import h264, remote

# What FFmpeg and OpenCV print beside the errors raised here would only tear the progress bar.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")
CODEC = "mp4v"  # without PyAV: OpenCV's wheels write no H.264
RATE = 25.0  # Frames per second where a source names none, as webcams do.
MOST_RATE = 480.0  # Above it a rate is the unit of the time stamps; WebM files say 1000.


@dataclasses.dataclass(frozen=True)
class Frame:
    """One image of a video.

    Attributes:
        image: [H, W, 3] uint8, RGB, upright.
        number: 0-based.
        time: Seconds since the first frame.
    """

    image: np.ndarray
    number: int
    time: float


class VideoReader:
    """Frames of a video file or of a webcam, in order, once.

    Args:
        source: File, address of a video or a stream, or number of a webcam.

    Attributes:
        live: Whether it goes on until it is stopped.
        name: What errors call it.
        rate: Frames per second.
        frames: How many the file says it has; None where it does not say, as for webcams.

    Raises:
        DataError: It is no video, not a frame of it can be read, or there is no such webcam or address.
    """

    def __init__(self, source: Path | str | int):
        webcam, address = isinstance(source, int), isinstance(source, str) and remote.scheme_of(source)
        self.live = webcam or address in remote.LIVE
        self.name = f"webcam:{source}" if webcam else remote.without_password(source) if address else printable(source)
        with _quiet_opencv(), _name_for_opencv(source) as name:
            self._capture = cv2.VideoCapture(name)
        self._start = time.monotonic()
        read, self._next = self._capture.read()
        if not read:
            self._capture.release()
            if address:
                raise DataError(f"{self.name}: nothing answers there, or no video that OpenCV can read.")
            if webcam:
                raise DataError(
                    f"{self.name}: the webcam gives no image. Is it connected, and not used by another program?"
                )
            raise DataError(
                f"{self.name}: not a video that can be read. The file is probably cut off or damaged, or OpenCV does "
                "not know its codec; copy it again, convert it or remove it."
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if math.isfinite(rate) and 0 < rate <= MOST_RATE else RATE
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frames = int(count) if not self.live and 0 < count < 1e9 else None
        self.live |= bool(address) and self.frames is None  # a camera's pictures over HTTP, for one

    def __iter__(self) -> Iterator[Frame]:
        """Reads on to the end; what is cut off there is left out."""
        for number in itertools.count():
            if self.live:
                seconds = time.monotonic() - self._start
            else:
                # Frames need not be evenly spaced; files without time stamps say 0 throughout.
                seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 or number / self.rate
            yield Frame(cv2.cvtColor(self._next, cv2.COLOR_BGR2RGB), number, seconds)
            read, self._next = self._capture.read()
            if not read:
                return

    def close(self) -> None:
        """Frees the file or the webcam."""
        self._capture.release()


@contextlib.contextmanager
def _name_for_opencv(source: Path | str | int) -> Iterator[str | int]:
    """What to open a source by: OpenCV ends the program where a name is not UTF-8, so that such a file gets another."""
    if isinstance(source, int) or is_text(str(source)):
        yield source if isinstance(source, int) else str(source)
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"video{Path(source).suffix}"
        link.symlink_to(Path(source).absolute())
        yield str(link)


class VideoWriter:
    """Writes frames as an .mp4 file, whole or not at all: it has its name once `close` has read all frames back.

    Args:
        path: Where to, ending in .mp4. Folders on the way are made.
        rate: Frames per second.
        size: (width, height) of all frames in pixels. The format has even sides only, so an odd one grows by a pixel.

    Raises:
        DataError: Such a video cannot be written here, or `path` is a device or a pipe, in which no video can be.
    """

    def __init__(self, path: Path, rate: float, size: tuple[int, int]):
        self.path, self._size = path, tuple(side + side % 2 for side in size)
        self._frames, self._temporary = 0, beside(path)
        if writes_straight(path):
            raise DataError(f"{path}: is a device or a pipe, but a video needs a file. Give another name.")
        if not is_text(str(path)):  # OpenCV would end the program.
            raise DataError(f"{printable(path)}: a video needs a place whose name is UTF-8. Give another --out.")
        with telling(path, path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._writer: h264.H264Writer | _Mpeg4Writer | None = None
        with self._telling():
            self._writer = self._opened(rate)

    def _opened(self, rate: float) -> "h264.H264Writer | _Mpeg4Writer":
        if h264.encoder():
            return h264.H264Writer(self._temporary, rate, self._size)
        writer = _Mpeg4Writer(self._temporary, rate, self._size)
        if writer.opened:
            return writer
        raise DataError(
            f"{self.path}: OpenCV cannot write a {CODEC} video of {self._size[0]}x{self._size[1]} pixels here. Is the "
            "folder writable, the disk not full, and OpenCV built with FFmpeg (pip install opencv-python-headless)? Or "
            "leave out videos."
        )

    def write(self, image: np.ndarray) -> None:
        """Adds a frame [H, W, 3] uint8 RGB.

        Raises:
            DataError: It has another size than the first, or the disk is full.
        """
        right, below = (side - length for side, length in zip(self._size, image.shape[1::-1]))
        if not (0 <= right <= 1 and 0 <= below <= 1):
            raise DataError(
                f"{self.path}: a frame has {image.shape[1]}x{image.shape[0]} pixels, but the video began with "
                f"{self._size[0]}x{self._size[1]}. Cut the source where its size changes."
            )
        if right or below:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        with self._telling():
            self._writer.write(image)
        self._frames += 1

    def close(self) -> None:
        """Finishes the file and gives it its name.

        Raises:
            DataError: Not all frames can be read back; an older file is then as it was.
        """
        with self._telling():
            self._writer.release()
        # OpenCV says nothing where it cannot write.
        readable = _count_frames(self._temporary)
        if readable < self._frames:
            self.discard()
            raise DataError(
                f"{self.path}: only {readable} of {self._frames} frames can be read back from what was written, so it "
                "was not kept. Is the disk full? Free some space there, or give another place."
            )
        with telling(self.path, self._temporary):
            sync_file(self._temporary)
            self._temporary.replace(self.path)

    def discard(self) -> None:
        """Leaves no file."""
        with contextlib.suppress(OSError):
            if self._writer:
                self._writer.release()
        self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Tells what the system says of the file as a DataError, and leaves no file."""
        try:
            with telling(self.path, self._temporary):
                yield
        except DataError:
            self.discard()
            raise


class _Mpeg4Writer:
    """As `H264Writer`, by OpenCV; it raises nothing, but `opened` is false where it cannot begin."""

    def __init__(self, path: Path, rate: float, size: tuple[int, int]):
        with _quiet_opencv():
            self._writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*CODEC), rate, size)
        self.opened = self._writer.isOpened()

    def write(self, image: np.ndarray) -> None:
        self._writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))

    def release(self) -> None:
        self._writer.release()


def told_codec() -> str:
    """What videos are written as, for people."""
    if h264.encoder():
        return "H.264"
    return "MPEG-4 (mp4v), which browsers do not play; for H.264: pip install 'centernet_tf[video]'"


def _count_frames(path: Path) -> int:
    """How many frames of a video can be decoded."""
    with _quiet_opencv():
        capture = cv2.VideoCapture(str(path))
        count = 0
        while capture.grab():
            count += 1
        capture.release()
    return count


@contextlib.contextmanager
def _quiet_opencv() -> Iterator[None]:
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
