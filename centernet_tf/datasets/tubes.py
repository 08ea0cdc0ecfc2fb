"""Reads videos with tubes of actions: annotations of UCF101-24, JHMDB, AVA, MultiSports or plain JSON, and frames."""

import dataclasses
import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from centernet_tf.datasets import tube_csv, tube_json, tube_pickle
from centernet_tf.datasets.items import Item, MadeItems, Split, leads_out
from centernet_tf.datasets.tube_annotations import (
    AnnotatedTube,
    AnnotatedVideo,
    Annotations,
    check_gaps,
    identities,
    without_gaps,
)
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.host.reading import is_folder, printable
from centernet_tf.media.folder import frames_of
from centernet_tf.media.images import inspect_header, read_bytes
from centernet_tf.media.video import SUFFIXES, VideoReader
from centernet_tf.properties.property import Fault
from centernet_tf.properties.tracks import Tracks

INNER = "img1"  # where MOTChallenge's videos have their frames
PLAIN, PICKLES, TABLES = (".json",), (".pkl", ".pickle"), (".csv",)
KNOWN = f"*{', *'.join((*PLAIN, *PICKLES, *TABLES))}"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What of a file of annotations is read, and how.

    Attributes:
        part: "train" or "test" videos of a pickle; None for all.
        fold: Which of its divisions into these, from 1.
        names: Of videos, or patterns of names; None for all.
        frames: First and last frame, from 1; None for all.
        annotated_only: Leave out frames without any tube.
        gaps: What tubes with gaps mean, see `tube_annotations.without_gaps`; None for what is usual of the format:
            an error, but two tubes in a CSV.
        first: Number of the image file that is frame 1.
        outside: Also read videos that the annotations name outside the folder.
    """

    part: str | None = None
    fold: int = 1
    names: tuple[str, ...] | None = None
    frames: tuple[int, int] | None = None
    annotated_only: bool = False
    gaps: str | int | None = None
    first: int = 1
    outside: bool = False

    def __post_init__(self) -> None:
        if self.frames is not None and not 1 <= self.frames[0] <= self.frames[1]:
            raise UsageError(f"frames {self.frames[0]} to {self.frames[1]}: expected two numbers from 1, least first.")
        if self.gaps is not None:
            check_gaps(self.gaps)


def read(
    path: str | Path,
    frames: str | Path | None = None,
    choice: Choice | None = None,
    *,
    labels: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    clock: tube_csv.Clock | None = None,
) -> Split:
    """Reads the annotated tubes of videos. Images are not opened, but for one of each video whose size nobody says.

    Args:
        path: The annotations: a pickle (.pkl), which is read without running anything in it; .csv of AVA or
            MultiSports; or plain .json, see `tube_json`.
        frames: Folder of the videos: for each a folder of images, numbered from 1, or a video file, called as in the
            annotations. By default the folder of the annotations.
        choice: What of it is read, and how.
        labels: Names of the actions of a .csv, from number 1 on.
        classes: Names in the order of the class numbers, all labels by default; tubes of others are left out.
        clock: Which frame a time of a .csv is.

    Returns:
        The classes, the frames in order, and the property tracks, whose identities are of tubes. Frames keep their
        numbers.

    Raises:
        UsageError: A file, folder, video, label or part that does not exist, or a video outside the folder.
        DataError: Annotations cannot be understood, or tubes have gaps; while frames are read, a video is missing.
    """
    path, choice = Path(path), choice or Choice()
    root = path.parent if frames is None else Path(frames)
    if not is_folder(root):
        raise UsageError(f"{root}: no such folder of videos.")
    told = _annotations(path, choice, labels, clock)
    wanted = told.labels if classes is None else tuple(classes)
    if unknown := [name for name in wanted if name not in told.labels]:
        raise UsageError(
            f"{path}: no label {unknown[0]!r:.60}.{closest(unknown[0], told.labels)} There are: "
            f"{', '.join(told.labels):.300}."
        )
    gaps = told.gaps if choice.gaps is None else check_gaps(choice.gaps)
    videos = [_whole(video, gaps, path) for video in _chosen(told.videos, choice, path)]
    numbers = [wanted.index(name) if name in wanted else -1 for name in told.labels]
    items = MadeItems(
        lambda: (
            item
            for number, video in enumerate(videos)
            for item in _Clip(root, video, number, numbers, told.normalised).items(choice)
        )
    )
    return Split(wanted, items, (Tracks(tubes=True),))


def _annotations(path: Path, choice: Choice, labels: Sequence[str] | None, clock: tube_csv.Clock | None) -> Annotations:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UsageError(f"{printable(path)}: no such file of annotations. Known: {KNOWN}.")
    options = {"labels": (labels, TABLES), "rate and start": (clock, TABLES), "part": (choice.part, PICKLES)}
    for name, (value, suffixes) in options.items():
        if value is not None and suffix not in suffixes:
            raise UsageError(f"{path}: {name} is of *{suffixes[0]} files only. Leave it out.")
    if suffix in PLAIN:
        return tube_json.read(path)
    if suffix in PICKLES:
        return tube_pickle.read(path, choice.part, choice.fold)
    if suffix in TABLES:
        return tube_csv.read(path, labels, clock)
    raise UsageError(f"{path}: what format it has its name does not say. Known: {KNOWN}.")


def _chosen(videos: Sequence[AnnotatedVideo], choice: Choice, path: Path) -> list[AnnotatedVideo]:
    """The videos that are wanted, by name."""
    videos = sorted(videos, key=lambda video: video.name)
    if not choice.outside and (far := [video.name for video in videos if leads_out(video.name)]):
        raise UsageError(
            f"{path}: names video {far[0]!r:.120}, which is outside the folder of the videos. Pass --outside to read "
            "such videos, if you trust the file."
        )
    names = [video.name for video in videos]
    if not names:
        raise UsageError(f"{path}: holds no videos.")
    for wanted in choice.names or ():
        if not fnmatch.filter(names, wanted):
            raise UsageError(f"{path}: no video {wanted}.{closest(wanted, names)} There are: {', '.join(names):.300}.")
    patterns = choice.names or ("*",)
    return [video for video in videos if any(fnmatch.fnmatch(video.name, wanted) for wanted in patterns)]


def _whole(video: AnnotatedVideo, gaps: str | int, path: Path) -> AnnotatedVideo:
    """The video with tubes that have no gaps."""
    tubes: list[AnnotatedTube] = []
    for number, tube in enumerate(video.tubes, start=1):
        where = f"{path}: video {video.name}: tube {number}"
        if video.frames is not None and len(tube.frames) and tube.frames.max() > video.frames:
            raise DataError(f"{where}: reaches frame {tube.frames.max()}, but the video has {video.frames}.")
        tubes += without_gaps(tube, gaps, where)
    return dataclasses.replace(video, tubes=tuple(tubes))


class _Clip:
    """The frames of one video as items.

    Args:
        root: Folder of the videos.
        video: With tubes without gaps.
        number: Orders the videos.
        classes: Number of the class of each label; -1 where it is not wanted.
        normalised: Whether boxes are fractions of the image.
    """

    def __init__(self, root: Path, video: AnnotatedVideo, number: int, classes: Sequence[int], normalised: bool):
        self._video, self._number, self._classes, self._normalised = video, number, classes, normalised
        self._root = root
        self._ids = identities(video.tubes)
        self._rows: dict[int, list[tuple[int, int]]] = {}  # tubes of each frame, and the places of their boxes
        for tube, one in enumerate(video.tubes):
            for place, frame in enumerate(one.frames.tolist()):
                self._rows.setdefault(frame, []).append((tube, place))

    def items(self, choice: Choice) -> Iterator[Item]:
        """The chosen frames in order."""
        folder = next((one for one in self._folders() if is_folder(one) and frames_of(one)), None)
        file = None if folder else next((one for one in self._files() if one.is_file()), None)
        if folder is not None:
            yield from self._of_folder(folder, choice)
        elif file is not None:
            yield from self._of_file(file, choice)
        else:
            raise DataError(
                f"{self._root / self._video.name}: neither a folder of images nor a video file. Unpack it, give the "
                "folder of the videos, or choose others with --names."
            )

    def _folders(self) -> tuple[Path, ...]:
        return self._root / self._video.name, self._root / self._video.name / INNER

    def _files(self) -> list[Path]:
        return [self._root / f"{self._video.name}{suffix}" for suffix in ("", *SUFFIXES)]

    def _wanted(self, frame: int, choice: Choice) -> bool:
        first, last = choice.frames or (1, frame)
        return first <= frame <= last and (frame in self._rows or not choice.annotated_only)

    def _of_folder(self, folder: Path, choice: Choice) -> Iterator[Item]:
        images = {number - choice.first + 1: image for number, image in _numbered(folder).items()}
        last = max(self._video.frames or max(images), *self._rows, 1)
        size = self._video.size
        for frame in range(1, last + 1):
            if not self._wanted(frame, choice):
                continue
            if frame not in images:
                lost = Fault("frame missing", self._told_missing(folder, frame, images))
                yield dataclasses.replace(self._item(frame, folder / f"{frame:05d}", size), broken=lost)
                continue
            # Of a video whose size nobody says, all frames have that of the first that is read.
            size = size or _size_of(images[frame])
            yield self._item(frame, images[frame], size)

    def _told_missing(self, folder: Path, frame: int, images: Mapping[int, Path]) -> str:
        names = f"{images[min(images)].name} to {images[max(images)].name}"
        hint = "; if its images count from 0, pass --first 0" if 0 in images else ""
        hint = "; AVA's times need --rate and --start" if self._normalised and frame > max(images) else hint
        return f"{folder}: no image of frame {frame}, there are {names}{hint}"

    def _of_file(self, file: Path, choice: Choice) -> Iterator[Item]:
        last, frame = max(self._video.frames or 0, *self._rows, 0), 0
        reader = VideoReader(file)
        try:
            for frame, one in enumerate(reader, start=1):
                if self._wanted(frame, choice):
                    yield dataclasses.replace(self._item(frame, one.image, self._video.size), time=one.time)
                if choice.frames and frame >= choice.frames[1]:
                    return
        finally:
            reader.close()
        for lost in range(frame + 1, last + 1):
            if self._wanted(lost, choice):
                fault = Fault("frame missing", f"{file}: has {frame} frames, none of number {lost}")
                yield dataclasses.replace(self._item(lost, file, self._video.size), broken=fault)

    def _item(self, frame: int, source: Path | np.ndarray, size: tuple[int, int] | None) -> Item:
        rows = self._rows.get(frame, [])
        tubes = [(tube, self._video.tubes[tube].boxes[place]) for tube, place in rows]
        kept = [(tube, box) for tube, box in tubes if self._classes[self._video.tubes[tube].label] >= 0]
        left_out = {"class not chosen": len(tubes) - len(kept)} if len(kept) < len(tubes) else {}
        name = source.name if isinstance(source, Path) else f"{frame:06d}"
        return Item(
            key=f"{self._number:06d}-{frame:08d}",
            image_id=self._number * 1_000_000 + frame,
            source=source,
            filename=f"{self._video.name}/{name}",
            boxes=np.array([box for _, box in kept], np.float64).reshape(-1, 4),
            classes=[self._classes[self._video.tubes[tube].label] for tube, _ in kept],
            rows={"track_ids": np.array([self._ids[tube] for tube, _ in kept], np.int64)},
            normalised=self._normalised,
            width=size[0] if size else None,
            height=size[1] if size else None,
            left_out=left_out,
            video=self._video.name,
            frame=frame,
        )


def _numbered(folder: Path) -> dict[int, Path]:
    """The images of a folder by the last number in their names; by their order where not each has one of its own."""
    files = frames_of(folder)
    numbers = [re.findall(r"\d+", file.stem)[-1:] for file in files]
    found = {int(one[0][-9:]): file for one, file in zip(numbers, files) if one}
    return found if len(found) == len(files) else dict(enumerate(files, start=1))


def _size_of(image: Path) -> tuple[int, int]:
    return inspect_header(read_bytes(image, str(image)), str(image)).upright_size
