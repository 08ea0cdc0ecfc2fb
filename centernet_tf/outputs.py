"""What a run of `predict` writes, whether it may, and the JSON file of its results.

The JSON file:

    {
      "model": "runs/shapes/best.keras", "threshold": 0.3, "input": "512x512", or "kept" for images at their resolution,
      "categories": [{"id": 1, "name": "circle"}, ...],
      "images": [
        {"id": 1, "file_name": "in/a.jpg", "width": 640, "height": 480, "output": "a.jpg", "detections": [
          {"image_id": 1, "category_id": 1, "category": "circle", "bbox": [left, top, width, height], "score": 0.91},
          ...]},
        {"id": 2, "file_name": "in/clip.mp4", "frame": 0, "time": 0.0, "width": ...},
        ...],
      "videos": [
        {"file_name": "in/clip.mp4", "rate": 25.0, "frames": 100, "output": "clip.mp4"},
        ...],
      "skipped": [{"file_name": "in/broken.jpg", "reason": "..."}, ...]
    }

Boxes are in pixels of the image (upright, as it is seen), not clipped to it. Ids count from 1, as in COCO's results, so
the detections of all images together are such a file. A frame's number counts from 0 and its time is in seconds.
Where each class has a threshold of its own, "threshold" is {class: number}. Where only some classes were wanted, the
file also has "classes": their names.
Outputs are names in the output folder, null where nothing is drawn. The properties that a model finds add keys to the
objects, to the images, to the videos and to the categories.
"""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from centernet_tf.errors import UsageError, closest
from centernet_tf.host.files import telling, whole_file, whole_folder
from centernet_tf.host.spool import pieces
from centernet_tf.media.sources import Source
from centernet_tf.media.video import RATE
from centernet_tf.properties import PROPERTIES
from centernet_tf.properties.property import Property, ResultFiles
from centernet_tf.results import Detections

DIGITS = 4  # decimals of boxes, scores and all else in result files

# Called with an image or video, the frame's number and time (None for a single image), the pixels [H, W, 3] that were
# searched, and what was found there.
Teller = Callable[[Source, "tuple[int, float] | None", np.ndarray, Detections], None]


class Format:
    """A further form of a run's results, of any model: see `formats`.

    Args:
        path: File or folder that is written.

    Attributes:
        option: That asks for it.
        title: What it is, for people.
    """

    option: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, path: Path):
        self.path = path

    def check(self, sources: Sequence[Source]) -> None:
        """Raises UsageError where results of these would overwrite what is no result, or cannot be told so."""
        raise NotImplementedError

    def opened(self, names: Sequence[str], properties: Sequence[Property]) -> contextlib.AbstractContextManager[Teller]:
        """What takes the images in order; behind it, all is there, or nothing is.

        Args:
            names: Of the model's classes.
            properties: What it finds.

        Raises:
            UsageError: Such a model has no such results.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Outputs:
    """What a run finds and writes.

    Attributes:
        folder: Where drawn images and videos go.
        json_file: Where the results go.
        threshold: Scores up to this are left out, in 0..1, or up to one for each class; None for what the model says.
        batch_size: Images searched at the same time.
        draw: Write every image and video with its objects drawn in.
        heatmaps: Write what the network answers before peaks are taken, laid over its input.
        skip_bad: Continue past an image or video that cannot be read, and list it.
        max_frames: Most frames of each video or webcam; None for all.
        rate: Frames per second of videos that are folders of images.
        extras: What the model needs of each image beside its pixels: {name: function from the name of an image or
            video to its value}. What is not here, the model has itself.
        result_files: {format: folder} of result files to write, one for each image; see `result_format`.
        classes: Names of the classes that are wanted; None for all.
        formats: Further forms to write the results in.
        tellers: What `staged` makes of them.
    """

    folder: Path
    json_file: Path
    threshold: float | Sequence[float] | None = None
    batch_size: int = 8
    draw: bool = True
    heatmaps: bool = False
    skip_bad: bool = False
    max_frames: int | None = None
    rate: float = RATE
    extras: Mapping[str, Callable[[str], np.ndarray]] = dataclasses.field(default_factory=dict)
    result_files: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    formats: tuple[Format, ...] = ()
    tellers: tuple[Teller, ...] = ()

    def extras_of(self, source: Source) -> dict[str, np.ndarray]:
        """The extras of one image or video; raises DataError where there is none for it."""
        place = str(source.place) if isinstance(source.place, Path) else source.name
        return {name: of(place) for name, of in self.extras.items()}

    def files_of(self, source: Source) -> Iterator[tuple[str, Path]]:
        """Format and path of each result file of an image."""
        for name, folder in self.result_files.items():
            yield name, folder / Path(source.output).with_suffix(result_format(name).suffix)

    def wanted(self, found: Detections) -> Detections:
        """The objects of the classes that are wanted, and what ties these together."""
        if self.classes is None:
            return found
        return found[np.array([name in self.classes for name in found.class_names], bool)]

    def tell(self, source: Source, frame: tuple[int, float] | None, image: np.ndarray, found: Detections) -> None:
        """Passes an image on to all `tellers`."""
        for teller in self.tellers:
            teller(source, frame, image, found)

    @contextlib.contextmanager
    def staged(self, names: Sequence[str], properties: Sequence[Property]) -> Iterator["Outputs"]:
        """Gives outputs whose result files get their names at the end, all together or none.

        A file that is missing, or an older one among new ones, would be scored like a result of this run.

        Raises:
            UsageError: A class that is wanted is none of the model's, or a format does not suit the model.
        """
        check_classes(self.classes, names)
        with contextlib.ExitStack() as stack:
            folders = {name: stack.enter_context(whole_folder(path)) for name, path in self.result_files.items()}
            tellers = tuple(stack.enter_context(one.opened(names, properties)) for one in self.formats)
            yield dataclasses.replace(self, result_files=folders, tellers=tellers)


def result_format(name: str) -> ResultFiles:
    """Looks up a format of result files among those of all properties; raises UsageError where it is unknown."""
    formats = {key: files for one in PROPERTIES.values() for key, files in one.result_files.items()}
    if name not in formats:
        known = ", ".join(formats) or "none"
        raise UsageError(f"Unknown format of result files {name!r}.{closest(name, formats)} Known: {known}.")
    return formats[name]


def check_formats(names: Iterable[str], properties: Iterable[Property]) -> None:
    """Raises UsageError where a model that finds these properties has no result files of a format."""
    found = {one.name for one in properties}
    for name in names:
        files = result_format(name)
        (owner,) = (one.name for one in PROPERTIES.values() if name in one.result_files)
        if files.found and owner not in found:
            raise UsageError(f"--{name}: this model finds no {owner}. Leave it out.")


def check_classes(wanted: Iterable[str] | None, names: Sequence[str]) -> None:
    """Raises UsageError where a wanted class is none of the model's."""
    for name in wanted or ():
        if name not in names:
            raise UsageError(f"This model knows no class {name!r}.{closest(name, names)} It knows: {', '.join(names)}.")


def check_outputs(sources: Iterable[Source], outputs: Outputs) -> None:
    """Checks everything that will be written before anything is.

    Raises:
        UsageError: A result would overwrite a source, another one or a file that is no result, a file and a folder are
            mistaken for each other, or a video is to have result files.
    """
    sources = list(sources)
    for folder in (outputs.folder, *outputs.result_files.values()):
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder}: this is a file. Give a folder to write to.")
    if outputs.json_file.is_dir():
        raise UsageError(f"{outputs.json_file}: this is a folder. Give a file to write the results to.")
    originals = {source.place.resolve() for source in sources if isinstance(source.place, Path)}
    targets = [outputs.json_file]
    if outputs.draw:
        targets += [outputs.folder / source.output for source in sources]
    if outputs.heatmaps:
        targets += [outputs.folder / source.heatmap for source in sources]
    for target in targets:
        _check_no_source(target, originals)
    taken = {target.resolve() for target in targets}
    for source in sources:
        for name, target in outputs.files_of(source):
            _check_no_source(target, originals)
            _check_result_file(name, target, source)
            if target.resolve() in taken:
                raise UsageError(f"{target}: would be written twice. Give another folder to --{name}.")
            taken.add(target.resolve())
    places = {place.resolve() for place in (*outputs.result_files.values(), *targets)}
    for one in outputs.formats:
        _check_no_source(one.path, originals)
        one.check(sources)
        if one.path.resolve() in places:
            raise UsageError(f"{one.path}: would be written twice. Give another place to {one.option}.")
        places.add(one.path.resolve())


def _check_no_source(target: Path, originals: Container[Path]) -> None:
    if target.resolve() in originals:
        raise UsageError(f"{target}: would overwrite an input. Give another folder to write to.")


def _check_result_file(name: str, target: Path, source: Source) -> None:
    if source.moving:
        raise UsageError(
            f"--{name} writes a file for each image, but {source.name} is a video or a webcam. Leave out one."
        )
    if target.exists() and not result_format(name).owns(target):
        what = "a folder with files in it" if target.is_dir() else "a file that holds no results, such as annotations"
        raise UsageError(f"{target}: would overwrite {what}. Give another folder to --{name}.")


@contextlib.contextmanager
def write_json(path: Path, head: Mapping[str, Any]) -> Iterator[tuple[Callable[..., None], dict[str, Any]]]:
    """Writes the JSON file of the module's docstring, an image a line, so that a long video needs no memory.

    The file has its name once it is whole; a device or a pipe gets each line when it is known.

    Args:
        path: Where to; folders on the way are made.
        head: What stands before the images.

    Yields:
        A function that adds an image, from its detections and the keys of its line, and the dict of all that stands
        after the images, to be filled; long lists in it may be of `host.spool`.
    """
    ids = itertools.count(1)
    tail: dict[str, Any] = {}

    def members(values: Mapping[str, Any]) -> Iterator[str]:
        for number, (key, value) in enumerate(values.items()):
            yield (",\n" if number else "") + f"{json.dumps(key)}: "
            yield from pieces(value)

    def write(found: Detections, **keys: Any) -> None:
        number = next(ids)
        line = image_line(number, found, **keys)
        with telling(path):
            file.write((",\n" if number > 1 else "\n") + json.dumps(line, ensure_ascii=False))

    with whole_file(path) as file:
        file.writelines(itertools.chain(["{\n"], members(head), [',\n"images": [']))
        yield write, tail
        file.writelines(itertools.chain(["\n],\n"], members(tail), ["\n}\n"]))


def image_line(number: int, found: Detections, **keys: Any) -> dict[str, Any]:
    """The line of one image with its detections; `keys` stand between its size and what properties add."""
    width, height = found.image_size
    line = {"id": number, "width": width, "height": height, **keys}
    rows = found.rows
    for one in found.properties:
        line |= one.image_to_json(rows)
    detections = found.to_coco(number, digits=DIGITS)
    for row, name in zip(detections, found.class_names):
        row["category"] = name
    return {**line, "detections": detections}
