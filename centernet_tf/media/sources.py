"""What a user points a detector at: images, folders of them, videos and webcams, each with a name for its results."""

import dataclasses
import itertools
import re
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from centernet_tf.errors import UsageError, closest
from centernet_tf.host.reading import is_text, printable
from centernet_tf.media import draw, images, remote, video
from centernet_tf.media.folder import frames_of

MOST_WEBCAM = 999
SEQUENCE = "img1"  # MOTChallenge's name of the folder of a sequence's frames
WEBCAM = re.compile(r"webcam(?::(\d+))?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Source:
    """One image, video, stream or webcam.

    Attributes:
        place: File, address with its scheme, or number of a webcam; a folder whose images are the frames of a video.
        moving: Whether it is a video, a stream or a webcam.
        output: Name of the file with the drawn result, different for each source of a run.
    """

    place: Path | str | int
    moving: bool
    output: str

    @property
    def name(self) -> str:
        """As it was given, without a password; bytes of a file's name that are not UTF-8 become \\xe9 and the like."""
        if isinstance(self.place, int):
            return f"webcam:{self.place}"
        return remote.without_password(self.place) if isinstance(self.place, str) else printable(self.place)

    @property
    def heatmap(self) -> str:
        """Name of the file with its heatmap."""
        return f"{Path(self.output).stem}_heatmap{'.mp4' if self.moving else '.png'}"


def find_videos(inputs: Sequence[str | Path]) -> list[Source]:
    """Finds videos: those of `find_sources`, and folders, whose images are the frames of one video each.

    The folder around a folder img1, as MOTChallenge has them, stands for that and gives the result its name.

    Raises:
        UsageError: As `find_sources`, or an image is given alone.
    """
    places = [place for wanted in inputs for place in _video_places(str(wanted))]
    for place in places:
        if not _moves(place):
            raise UsageError(
                f"{place}: an image is no video. Give the folder of its frames, or `centernet detect` single images."
            )
    return _named(places)


def _video_places(wanted: str) -> list[Path] | list[str] | list[int]:
    folder = Path(wanted)
    if remote.scheme_of(wanted) or not folder.is_dir():
        return _places(wanted)
    if not frames_of(folder) and (folder / SEQUENCE).is_dir():
        folder = folder / SEQUENCE
    videos = [] if frames_of(folder) else [place for place in _places(str(folder)) if _moves(place)]
    return videos or [folder]


def find_sources(inputs: Sequence[str | Path]) -> list[Source]:
    """Finds images and videos.

    Args:
        inputs: Image and video files, folders, whose images and videos are taken by name without those of subfolders
            and hidden ones, "webcam" or "webcam:1"; addresses of videos and streams that OpenCV opens, such as http://
            and rtsp://, and of images, or folders of them, that TensorFlow reads, such as gs://.

    Returns:
        One source each, in this order. Of two files with the same name, the later one's result has the name of its
        folder in front.

    Raises:
        UsageError: There is no such file, its suffix is unknown, or a folder holds nothing to look at.
    """
    return _named([place for wanted in inputs for place in _places(str(wanted))])


def _named(places: Sequence[Path | str | int]) -> list[Source]:
    taken: set[str] = set()
    found = []
    for place in places:
        moving = _moves(place)
        stem, folder, suffix = f"webcam{place}", "webcam", ".mp4" if moving else ".png"
        if isinstance(place, str):
            stem, folder = remote.file_name(place)
        if isinstance(place, Path):
            whole = place.resolve()
            whole = whole.parent if whole.name == SEQUENCE and whole.is_dir() else whole
            stem = whole.name if place.is_dir() else place.stem
            stem, folder = (_writable(part) for part in (stem, whole.parent.name))
            suffix = suffix if moving else place.suffix if place.suffix.lower() in draw.SUFFIXES else ".png"
        numbered = (f"{folder}_{stem}_{number}" for number in itertools.count(2))
        for choice in itertools.chain([stem, f"{folder}_{stem}"], numbered):
            source = Source(place, moving, choice + suffix)
            # Some file systems do not tell capitals apart.
            names = {source.output.lower(), source.heatmap.lower()}
            if not names & taken:
                break
        taken |= names
        found.append(source)
    return found


def _writable(part: str) -> str:
    """A part of a file name that every system and library can write: OpenCV takes UTF-8 alone."""
    return part if is_text(part) else printable(part).replace("\\", "_")


def _moves(place: Path | str | int) -> bool:
    if isinstance(place, str):
        return remote.scheme_of(place) in remote.STREAMS
    return isinstance(place, int) or place.suffix.lower() in video.SUFFIXES or place.is_dir()


def _places(wanted: str) -> list[Path] | list[str] | list[int]:
    if match := WEBCAM.fullmatch(wanted):
        if len(match[1] or "") > len(str(MOST_WEBCAM)):
            raise UsageError(f"{wanted:.60}: no webcam has such a number. Expected 0 to {MOST_WEBCAM}.")
        return [int(match[1] or 0)]
    if (scheme := remote.scheme_of(wanted)) and scheme != "file":
        return _addresses(wanted, scheme)
    if scheme:
        wanted = urllib.request.url2pathname(urllib.parse.urlsplit(wanted).path)
    path = Path(wanted)
    suffixes = (*images.SUFFIXES, *video.SUFFIXES)
    if path.is_dir():
        inside = [child for child in path.iterdir() if child.suffix.lower() in suffixes and child.is_file()]
        if not (kept := sorted(child for child in inside if not child.name.startswith("."))):
            raise UsageError(
                f"{path}: no images or videos directly in this folder; subfolders are not searched. "
                f"Known are files that end in {', '.join(suffixes)}."
            )
        return kept
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder.{_near(path)}")
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path}: files that end in {path.suffix!r} are not known. "
            f"Images: {', '.join(images.SUFFIXES)}; videos: {', '.join(video.SUFFIXES)}; or webcam, webcam:1."
        )
    return [path]


def _addresses(wanted: str, scheme: str) -> list[str]:
    remote.check_scheme(wanted)
    suffix = Path(urllib.parse.urlsplit(wanted).path).suffix.lower()
    shown = remote.without_password(wanted)
    if scheme in remote.STREAMS:
        if suffix in images.SUFFIXES:
            raise UsageError(
                f"{shown}: images are not fetched by {scheme}, only videos and streams. Download it first."
            )
        return [wanted]
    if suffix in video.SUFFIXES:
        raise UsageError(f"{shown}: videos are not read by {scheme}, only images. Copy it here first.")
    return remote.files_at(wanted, images.SUFFIXES)


def _near(path: Path) -> str:
    return closest(path.name, [child.name for child in path.parent.iterdir()]) if path.parent.is_dir() else ""
