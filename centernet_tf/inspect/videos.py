"""Faults of videos in records: frames that are missing, out of order or of another size."""

from collections import Counter
from typing import Any

import numpy as np

from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.notebook import AGAIN, Check, Notebook
from centernet_tf.properties.property import Size

CHECKS = {
    "split_video": Check(
        "error", "videos whose frames do not follow one another", f"{AGAIN}, one video after the other."
    ),
    "frame_order": Check(
        "error", "frames whose number is not above that of the one before", f"{AGAIN}, in order, each frame once."
    ),
    "frame_size": Check(
        "error",
        "frames of another size than the first of their video",
        "Give its parts names of their own.",
    ),
    "frame_gap": Check(
        "warning",
        "gaps in the frame numbers of videos",
        "Of a clip, the nearest frame there is stands for one that is missing. Number them 1, 2, 3 if none is.",
    ),
    "short_video": Check("note", "videos of one frame", "It is its own frame before, as a single image."),
}


class VideoSurvey:
    """Adds up frames, those of a video one after another; single images are none of it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        self._lengths: Counter[str] = Counter()
        self._last: ImageKey | None = None  # of the image before
        self._size: Size = (0, 0)  # of the first frame of this video
        self._gaps = 0

    def add(self, name: str, key: ImageKey, size: Size) -> None:
        """Takes in one image, its video and number, and its width and height in pixels."""
        last, self._last = self._last, key
        if not key.video:
            return
        if last is None or last.video != key.video:
            self.notebook.add("split_video", f"{key.video}, again at {name}", self._lengths[key.video] > 0)
            self._size = size
        else:
            self.notebook.add("frame_order", f"{name}: {key.frame} after {last.frame}", key.frame <= last.frame)
            self.notebook.add("frame_gap", f"{name}: {key.frame} after {last.frame}", key.frame > last.frame + 1)
            self._gaps += key.frame > last.frame + 1
            text = f"{name}: {size[0]}x{size[1]}, {key.video} began with {self._size[0]}x{self._size[1]}"
            self.notebook.add("frame_size", text, size != self._size)
        self._lengths[key.video] += 1

    def close(self) -> None:
        """Notes what can be said only when all frames were seen."""
        for video, count in self._lengths.items():
            self.notebook.add("short_video", video, count == 1)

    def facts(self) -> dict[str, str]:
        """How many videos there are and how long they are; nothing without any."""
        if not self._lengths:
            return {}
        lengths = np.array(list(self._lengths.values()))
        spread = f"{lengths.min()} to {lengths.max()} frames, median {np.median(lengths):g}"
        return {"videos": f"{len(lengths)}, of {spread}; {self._gaps} gaps in the frame numbers"}

    def as_dict(self) -> dict[str, Any]:
        """ "count" of videos, "gaps" in their frame numbers, and "frames": {video: how many}."""
        return {"count": len(self._lengths), "gaps": self._gaps, "frames": dict(self._lengths)}
