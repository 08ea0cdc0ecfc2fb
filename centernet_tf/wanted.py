"""What a run of `predict` finds and writes, and whether it may."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from centernet_tf.cameras import Cameras
from centernet_tf.errors import UsageError
from centernet_tf.kitti_files import holds_results
from centernet_tf.sources import Source


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a run finds and writes.

    Attributes:
        folder: Where pictures go.
        json_file: Where the results go.
        threshold: Scores up to this are left out, in 0..1.
        batch: Images at the same time.
        pictures: Write every image and video with its objects drawn in.
        heatmaps: Write what the network answers before peaks are taken, laid over its input.
        skip_bad: Go on behind an image or video that cannot be read, and list it.
        frames: Most frames of each video or webcam; None for all.
        cameras: The camera of each image or video, for boxes in space; None for the model's own.
        kitti: Folder for a file of results for each image, as KITTI reads them; None writes none.
    """

    folder: Path
    json_file: Path
    threshold: float = 0.3
    batch: int = 8
    pictures: bool = True
    heatmaps: bool = False
    skip_bad: bool = False
    frames: int | None = None
    cameras: Cameras | None = None
    kitti: Path | None = None

    def camera_of(self, source: Source) -> np.ndarray | None:
        """The camera [3, 4] of an image or video; None for the model's own."""
        return self.cameras.of(source.name) if self.cameras else None

    def kitti_file(self, source: Source) -> Path:
        """Where an image's results go, for `kitti`."""
        return self.kitti / Path(source.output).with_suffix(".txt")


def check_outputs(sources: Iterable[Source], wanted: Wanted) -> None:
    """Raises UsageError where a result would overwrite a source, or a file and a folder are mistaken for each other."""
    for folder in filter(None, (wanted.folder, wanted.kitti)):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: this is a file. Give a folder to write to.")
    if wanted.json_file.is_dir():
        raise UsageError(f"{wanted.json_file}: this is a folder. Give a file to write the results to.")
    sources = list(sources)
    originals = {source.place.resolve(): source.name for source in sources if isinstance(source.place, Path)}
    targets = [wanted.json_file]
    if wanted.pictures:
        targets += [wanted.folder / source.output for source in sources]
    if wanted.heatmaps:
        targets += [wanted.folder / source.heatmap for source in sources]
    for target in targets:
        if target.resolve() in originals:
            raise UsageError(f"{target}: would overwrite an input. Give another folder to write to.")
    for target in map(wanted.kitti_file, sources) if wanted.kitti else ():
        if target.exists() and not holds_results(target):
            raise UsageError(f"{target}: would overwrite what is no result, such as a label or a calibration. "
                             "Give another folder to --kitti.")  # fmt: skip
