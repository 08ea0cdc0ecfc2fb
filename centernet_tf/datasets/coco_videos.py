"""Videos in COCO's JSON as CenterTrack's converters write them: frames of `videos`, annotations with `track_id`."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from centernet_tf.errors import DataError, brief
from centernet_tf.properties.tracks import UNKNOWN

IGNORED = (0, -1)  # categories of CenterTrack's ignored objects


class Place(NamedTuple):
    """Where an image stands.

    Attributes:
        number: Of its video, by which videos are ordered.
        video: Its name.
        frame: Number of the image in it.
    """

    number: int
    video: str
    frame: int

    @property
    def key(self) -> str:
        """Orders videos, and the frames of each."""
        return f"{self.number:06d}-{self.frame:08d}"


def places(content: Mapping[str, Any], path: Path) -> dict[int, Place]:
    """{id of an image: its place}; nothing where the JSON has no `videos`.

    Args:
        content: With lists "images" and "annotations".
        path: Of the JSON, for messages.

    Raises:
        DataError: `videos` are not listed as CenterTrack lists them, or an image has no place in one, or two have the
            same.
    """
    videos = content.get("videos")
    if videos is None:
        return {}
    if not isinstance(videos, list) or not all(isinstance(row, dict) and type(row.get("id")) is int for row in videos):
        raise DataError(f"{path}: 'videos' is no list of objects with an integer 'id'.")
    names = {row["id"]: str(row.get("file_name") or row.get("name") or row["id"]) for row in videos}
    if len(set(names.values())) < len(videos):
        raise DataError(f"{path}: two of the {len(videos)} videos have the same id or name; each needs its own.")
    order = {number: place for place, number in enumerate(sorted(names))}
    found = {}
    for row in content["images"]:
        video, frame = row.get("video_id"), row.get("frame_id")
        if type(video) is not int or video not in names or type(frame) is not int or not 0 <= frame < 2**31:
            raise DataError(
                f"{path}: image {row['id']} has video_id {brief(video, 40)} and frame_id {brief(frame, 40)}; expected "
                "the id of one of the videos, and the number of the frame in it."
            )
        found[row["id"]] = Place(order[video], names[video], frame)
    twice = [place for place, count in Counter(found.values()).items() if count > 1]
    if twice:
        raise DataError(f"{path}: video {twice[0].video} has frame {twice[0].frame} more than once.")
    return found


def identity(row: Mapping[str, Any]) -> int:
    """Of an annotation; -1 where it says none."""
    number = row.get("track_id")
    return number if type(number) is int and 0 <= number < 2**62 else UNKNOWN
