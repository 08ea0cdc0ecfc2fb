"""Reads the labels of JDE and FairMOT: lists of images, and a row `class identity cx cy width height` for each object.

A list names an image on each line. Its labels lie where "images" in the path is replaced by "labels_with_ids". Boxes
are fractions of the image and may reach over its edge; identity -1 is unknown.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from centernet_tf.datasets.items import Item, Split, leads_out, number_images
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.reading import is_file, is_folder, read_lines
from centernet_tf.media.images import SUFFIXES
from centernet_tf.properties.property import Fault
from centernet_tf.properties.tracks import UNKNOWN, Tracks

IMAGES, LABELS = "images", "labels_with_ids"
COLUMNS = 6
# Boxes of videos reach far over the edge, but a value this large is a number of pixels.
LARGEST = 5.0
MOST_IDENTITIES = 2**31
# A video in which that part of the boxes, of at least so many, is a person of its own.
EXPLODED, FEWEST_BOXES = 0.9, 20

_logger = logging.getLogger(__name__)


@dataclass
class _Labels:
    """The rows of one label file; boxes are left, top, right, bottom in fractions of the image."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    missing: bool = False


def read(
    lists: Sequence[str | Path],
    images: str | Path | None = None,
    *,
    classes: Sequence[str] = ("person",),
    outside: bool = False,
) -> Split:
    """Reads the images of one or more lists as single images; images are not opened.

    Each list is a data set whose identities are its own: those of a further list begin behind the largest of the lists
    before it, as in FairMOT. An image with an empty label file shows no object. Nothing need be sorted here; what a
    generator made of an unsorted gt.txt, where nearly every box of a video is a new identity, is warned of.

    Args:
        lists: Text files with an image on each line.
        images: Folder that the lines start from; the list's own if left out.
        classes: Names of the classes in the order of their numbers.
        outside: Also read images that a list names by absolute paths, or outside the folder.

    Returns:
        The classes, the images sorted by list and path, and the property tracks.

    Raises:
        UsageError: A list or folder is missing, there are no images or no labels, or a path leads out of the folder.
        DataError: A list cannot be understood, or names an image twice.
    """
    if not lists:
        raise UsageError("no list of images. Give one or more text files with an image on each line.")
    if images is not None and not is_folder(Path(images)):
        raise UsageError(f"{images}: no such folder. Give the one that the lines of the lists start from.")
    named = [_listed(Path(one), outside) for one in lists]
    _check_once(named, lists)
    places = [Path(one).parent if images is None else Path(images) for one in lists]
    numbers = iter(number_images([PurePath(name).stem for names in named for name in names]))
    items: list[Item] = []
    first = 0
    for index, (names, root, source) in enumerate(zip(named, places, lists)):
        labels = {name: _read_labels(root / _label_of(name, source), len(classes)) for name in names}
        if all(one.missing for one in labels.values()):
            looked = root / _label_of(names[0], source)
            raise UsageError(f"{source}: none of {len(names)} images has labels; looked for {looked} and so on.")
        _warn_of_explosions(labels)
        items += [_to_item(index, name, next(numbers), root, own, first) for name, own in labels.items()]
        first += 1 + max((number for own in labels.values() for number in own.ids), default=UNKNOWN)
    return Split(tuple(classes), items, (Tracks(),))


def _listed(path: Path, outside: bool) -> list[str]:
    """The images that a list names, sorted."""
    if not is_file(path):
        raise UsageError(f"{path}: no such list of images.")
    names = sorted(
        filter(None, (row.strip() for row in read_lines(path, DataError))), key=lambda name: Path(name).parts
    )
    if not names:
        raise UsageError(f"{path}: names no images.")
    if odd := [name for name in names if not name.lower().endswith(SUFFIXES)]:
        raise DataError(f"{path}: lists {odd[0]!r:.80}, which is no image; known are files that end in {SUFFIXES}.")
    if not outside and (far := [name for name in names if leads_out(name)]):
        raise UsageError(
            f"{path}: lists {far[0]!r:.120}, which is outside the folder of the images. Pass --outside to read such "
            "images, if you trust the list."
        )
    return names


def _check_once(named: Sequence[Sequence[str]], lists: Sequence[str | Path]) -> None:
    """Raises DataError where an image stands in two lists, or twice in one: its persons would be two each."""
    seen: dict[str, str | Path] = {}
    for names, source in zip(named, lists):
        for name in names:
            if name in seen:
                raise DataError(f"{source}: lists {name!r:.120} again, after {seen[name]}. Leave it out of one.")
            seen[name] = source


def _label_of(name: str, source: str | Path) -> Path:
    parts = list(Path(name).parts)
    if IMAGES not in parts:
        raise DataError(
            f"{source}: lists {name!r:.120}, which has no folder {IMAGES!r} in its path; labels are looked for where "
            f"that is {LABELS!r}. List paths that have it, and give the folder above with --images."
        )
    parts[len(parts) - 1 - parts[::-1].index(IMAGES)] = LABELS
    return Path(*parts).with_suffix(".txt")


def _read_labels(path: Path, num_classes: int) -> _Labels:
    rows = _Labels()
    if not is_file(path):
        rows.missing = True
        return rows
    seen: dict[tuple[float, ...], int] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        place = f"line {number} of {path.name}"
        try:
            label, identity, box = _read_row(line.split())
        except ValueError as error:
            rows.faults.append(Fault("annotation not readable", f"{place} {error}: {line.strip():.60}"))
            continue
        if not 0 <= label < num_classes:
            detail = f"{place} has class {label}, but there are {num_classes} classes, 0 to {num_classes - 1}"
            rows.faults.append(Fault("unknown class", detail))
        elif (before := seen.setdefault((label, identity, *box), number)) != number:
            detail = f"{place} repeats line {before}; generators append, so make them anew"
            rows.faults.append(Fault("line twice", f"{detail}: delete {LABELS} and generate it once"))
        else:
            rows.boxes.append(box)
            rows.classes.append(label)
            rows.ids.append(identity)
            rows.places.append(place)
    return rows


def _read_row(columns: Sequence[str]) -> tuple[int, int, tuple[float, ...]]:
    """Class, identity and box of a row.

    Raises:
        ValueError: What is wrong with the row.
    """
    if len(columns) != COLUMNS:
        raise ValueError(f"has {len(columns)} columns; expected class, identity, centre x and y, width, height")
    try:
        label, identity, x, y, width, height = (float(column) for column in columns)
    except ValueError:
        raise ValueError("has a column that is not a number") from None
    if not label.is_integer() or abs(label) >= MOST_IDENTITIES:
        raise ValueError("has a class that is not an integer")
    if not identity.is_integer() or not UNKNOWN <= identity < MOST_IDENTITIES:
        raise ValueError("has an identity that is neither -1 nor a whole number from 0")
    if any(abs(value) > LARGEST for value in (x, y, width, height)):
        raise ValueError("has values in pixels; expected fractions of the image")
    return int(label), int(identity), (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _videos(names: Sequence[str]) -> Iterator[tuple[PurePath, list[str]]]:
    """Folders of images that are called by numbers without a gap, as frames of a video are."""
    folders: dict[PurePath, list[str]] = defaultdict(list)
    for name in names:
        folders[PurePath(name).parent].append(name)
    for folder, own in folders.items():
        stems = [PurePath(name).stem for name in own]
        if all(stem.isascii() and stem.isdigit() and len(stem) < 18 for stem in stems):
            numbers = sorted(map(int, stems))
            if len(numbers) > 1 and numbers[-1] - numbers[0] == len(numbers) - 1:
                yield folder, own


def _warn_of_explosions(labels: dict[str, _Labels]) -> None:
    """Warns of videos in which nobody is seen twice: their gt.txt was not sorted when the labels were made of it."""
    exploded = []
    for folder, names in _videos(list(labels)):
        known = [identity for name in names for identity in labels[name].ids if identity != UNKNOWN]
        if len(known) >= FEWEST_BOXES and len({*known}) >= EXPLODED * len(known):
            exploded.append((folder, len({*known}), len(known)))
    if exploded:
        folder, identities, boxes = exploded[0]
        _logger.warning(
            "%d videos, such as %s, have nearly as many identities as boxes (%d of %d). Their gt.txt was not sorted by "
            "identity and then frame when the labels were generated. Sort it, delete %s and generate it again, or "
            "read the videos with `centernet records mot`, which needs no order.",
            *(len(exploded), folder, identities, boxes, LABELS),
        )


def _to_item(index: int, name: str, number: int, root: Path, labels: _Labels, first: int) -> Item:
    ids = np.array(labels.ids, np.int64)
    told = f"{name} has no label file; write an empty one if it shows no object, or leave it out of the list"
    return Item(
        # Parts, so that paths sort here as they do in the list.
        key=f"{index:06d}\0" + "\0".join(Path(name).parts),
        image_id=number,
        source=root / name,
        filename=name,
        boxes=np.array(labels.boxes, np.float64).reshape(-1, 4),
        classes=labels.classes,
        rows={"track_ids": np.where(ids == UNKNOWN, UNKNOWN, ids + first)},
        normalised=True,
        box_names=labels.places,
        faults=tuple(labels.faults),
        broken=Fault("image skipped", told) if labels.missing else None,
    )
