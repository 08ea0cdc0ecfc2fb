"""Reads masks that are saved as images: a folder of files for each image, label images, and Cityscapes.

Boxes follow from the masks, and so do areas.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from centernet_tf.datasets.items import Item, Split, number_images
from centernet_tf.datasets.mask_files import Found, numbered, of_files, read_pixels
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.host.reading import printable, read_lines
from centernet_tf.media.images import SUFFIXES, inspect_header, read_bytes
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.property import Fault, Size

Layout = Literal["objects", "labels", "cityscapes"]
LAYOUTS: tuple[Layout, ...] = ("objects", "labels", "cityscapes")
# What tools add to the name of an image for its labels: Cellpose's data set and program.
ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label")
IMAGE_ENDING = "_img"  # Cellpose's data set, of the images themselves
# Numbers of Cityscapes' classes that have instances, and those that its benchmark scores.
CITYSCAPES = {
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    29: "caravan",
    30: "trailer",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
SCORED = tuple(name for name in CITYSCAPES.values() if name not in ("caravan", "trailer"))
INSTANCES = 1000  # of a class: pixels hold class * 1000 + instance, or the class alone in groups


@dataclass(frozen=True)
class Place:
    """One image and its masks.

    Attributes:
        name: Of the image in the data set.
        image: Its file; None where there is none.
        masks: A file for each object, or one label image; None where there are none.
    """

    name: str
    image: Path | None
    masks: tuple[Path, ...] | None


def read(
    root: str | Path,
    split: str = "train",
    *,
    layout: Layout | None = None,
    images: str | Path | None = None,
    names: str | Path | None = None,
    class_name: str | None = None,
    classes: Sequence[str] | None = None,
    split_parts: bool = False,
) -> Split:
    """Reads the masks of a split; each image's when it is its turn.

    Args:
        root: "objects": a folder for each image, with `images/` (one file) and `masks/` (a file for each object).
            "labels": a folder of label images, in which the pixels of each object have its number and 0 is background,
            called as their image or with one of `ENDINGS` behind. "cityscapes": that of leftImg8bit and gtFine.
        split: Of Cityscapes: "train", "val".
        layout: None looks at what is there.
        images: Of label images: the folder of the images; by default they lie beside.
        names: Text file with the names of the images that are wanted, without suffix; all by default.
        class_name: Of objects and labels: what to call the one class, "object" by default.
        classes: Of Cityscapes: names in the order of the class numbers; those its benchmark scores by default.
        split_parts: Make an object of each large part of a mask that is not connected.

    Returns:
        Names of the classes, the images by name, and the property masks.

    Raises:
        UsageError: A folder is missing or not of the layout, or a name or class is not there.
    """
    root = Path(root)
    if not root.is_dir():
        raise UsageError(f"{root}: no such folder of masks.")
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(f"layout is {layout!r}; expected {', '.join(LAYOUTS)}.{closest(str(layout), LAYOUTS)}")
    layout = layout or _layout_of(root, images is not None)
    _check_options(layout, {"images": images, "class name": class_name, "classes": classes})
    if layout == "cityscapes":
        places, take = _cityscapes(root, split), _taker_of_cityscapes(tuple(classes or SCORED))
    else:
        places = _folders(root) if layout == "objects" else _labels(root, Path(images) if images else root)
        take = of_files if layout == "objects" else _take_labels
    if not places:
        raise UsageError(f"{root}: no images with masks of the layout {layout!r}. {_HELP}")
    numbered_places = dict(zip(number_images([one.name for one in places]), places))
    if names:
        wanted_names = _chosen([one.name for one in places], Path(names))
        numbered_places = {number: one for number, one in numbered_places.items() if one.name in wanted_names}
    wanted = tuple(classes or SCORED) if layout == "cityscapes" else (class_name or "object",)
    return Split(wanted, _Items(numbered_places, take, split_parts), (Masks(),))


NO_IMAGE = Fault("no image", "there are masks, but no image that they are of")
NO_MASKS = Fault("no masks", "there is an image, but nothing that tells its masks")
_HELP = "`centernet records masks --help` shows the folders that are known."


class _Items(Sequence[Item]):
    """The images, each read when it is asked for."""

    def __init__(self, places: Mapping[int, Place], take: Callable[..., None], split_parts: bool) -> None:
        self._places = sorted(places.items(), key=lambda one: one[1].name)
        self._take, self._split_parts = take, split_parts

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Item:
        number, place = self._places[index]
        common = {"key": place.name, "image_id": number}
        if place.image is None or place.masks is None:
            source, fault = place.image or Path(place.name), NO_MASKS if place.image else NO_IMAGE
            return Item(source=source, filename=place.name, boxes=np.zeros((0, 4)), classes=[], broken=fault, **common)
        pixels = [_pixels(path) for path in place.masks]
        found = Found(_size(place.image, pixels), self._split_parts)
        self._take(place.masks, pixels, found)
        return Item(
            source=place.image,
            filename=place.image.name,
            boxes=found.boxes(),
            classes=found.numbers,
            crowd=found.crowd,
            area=found.areas(),
            rows={"segmentations": found.segmentations()},
            width=found.size[0],
            height=found.size[1],
            box_names=found.names,
            faults=tuple(found.faults),
            left_out=found.left_out,
            broken=found.broken,
            counts={Masks.name: found.counts},
            **common,
        )


def _pixels(path: Path) -> np.ndarray | DataError:
    try:
        return read_pixels(path, f"mask {printable(path.name)}")
    except DataError as error:
        return error


def _size(image: Path, pixels: Sequence[np.ndarray | DataError]) -> Size:
    """Width and height that the masks must have: the image's, lying or upright where the file says that it lies.

    Of an image that cannot be read, which is told where it is written, that of the masks.
    """
    sizes = [one.shape[1::-1] for one in pixels if isinstance(one, np.ndarray)]
    try:
        header = inspect_header(read_bytes(image))
    except DataError:
        return sizes[0] if sizes else (1, 1)
    stored = header.width, header.height
    return stored if stored in sizes and header.upright_size not in sizes else header.upright_size


def _take_labels(files: Sequence[Path], pixels: Sequence[np.ndarray | DataError], found: Found) -> None:
    """Takes in the objects of a label image."""
    for number, mask, corner in numbered(files[0], pixels[0], found):
        found.add(f"object {number}", mask, corner)


def _taker_of_cityscapes(wanted: tuple[str, ...]) -> Callable[..., None]:
    for name in wanted:
        if name not in CITYSCAPES.values():
            known = ", ".join(CITYSCAPES.values())
            raise UsageError(
                f"Cityscapes has no instances of {name!r}.{closest(name, CITYSCAPES.values())} It has {known}."
            )

    def take(files: Sequence[Path], pixels: Sequence[np.ndarray | DataError], found: Found) -> None:
        for number, mask, corner in numbered(files[0], pixels[0], found):
            group = number < INSTANCES
            name = CITYSCAPES.get(number if group else number // INSTANCES)
            if name is None:
                if not group:
                    detail = f"object {number} has class {number // INSTANCES}, which has no instances in Cityscapes"
                    found.faults.append(Fault("unknown class", detail))
            elif name not in wanted:
                found.left_out["class not chosen"] += 1
            else:
                found.add(f"object {number}", mask, corner, wanted.index(name), crowd=group)

    return take


def _check_options(layout: Layout, given: Mapping[str, Any]) -> None:
    """Raises UsageError where something is given that the layout has no use for."""
    used = {"objects": ("class name",), "labels": ("images", "class name"), "cityscapes": ("classes",)}[layout]
    for name, value in given.items():
        if value is not None and name not in used:
            raise UsageError(f"{name}: the layout {layout!r} has no use for it. Leave it out.")


def _layout_of(root: Path, apart: bool) -> Layout:
    if (root / "gtFine").is_dir():
        return "cityscapes"
    if not apart and any(path.is_dir() for path in root.glob("*/masks")):
        return "objects"
    return "labels"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _folders(root: Path) -> list[Place]:
    places = []
    for folder in sorted(root.iterdir()):
        photos, masks = folder / "images", folder / "masks"
        if not photos.is_dir() and not masks.is_dir():
            continue
        images = _files(photos) if photos.is_dir() else []
        if len(images) > 1:
            raise UsageError(f"{photos}: {len(images)} images; expected one, whose masks lie beside.")
        files = tuple(_files(masks)) if masks.is_dir() else None
        places.append(Place(folder.name, images[0] if images else None, files))
    return places


def _labels(root: Path, images: Path) -> list[Place]:
    if not images.is_dir():
        raise UsageError(f"{images}: no such folder of images.")
    apart = images.resolve() != root.resolve()
    labels = _by_name(path for path in _files(root) if apart or _is_label(path))
    if not labels:
        raise UsageError(f"{root}: no label images, such as a_masks.png beside a.png. {_HELP}")
    photos = _by_name(path for path in _files(images) if apart or not _is_label(path))
    return _pairs(photos, labels)


def _pairs(photos: Mapping[str, Path], labels: Mapping[str, Path]) -> list[Place]:
    names = sorted({*photos, *labels})
    return [Place(name, photos.get(name), (labels[name],) if name in labels else None) for name in names]


def _is_label(path: Path) -> bool:
    return path.stem.endswith(ENDINGS)


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Files by what images and their labels have in common."""
    found: dict[str, Path] = {}
    for path in files:
        ending = next((one for one in (*ENDINGS, IMAGE_ENDING) if path.stem.endswith(one)), "")
        name = path.stem.removesuffix(ending)
        if name in found:
            raise UsageError(f"{path} and {found[name].name} are both of {name!r}. Keep one of them.")
        found[name] = path
    return found


def _cityscapes(root: Path, split: str) -> list[Place]:
    photos, labels = root / "leftImg8bit" / split, root / "gtFine" / split
    for folder in (photos, labels):
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder. Give the one of leftImg8bit and gtFine, and --split.")
    images, masks = (
        {path.name.removesuffix(ending): path for path in folder.glob(f"*/*{ending}")}
        for folder, ending in ((photos, "_leftImg8bit.png"), (labels, "_gtFine_instanceIds.png"))
    )
    return _pairs(images, masks)


def _chosen(known: Sequence[str], path: Path) -> set[str]:
    names = {line.strip() for line in read_lines(path, UsageError) if line.strip()}
    if not names:
        raise UsageError(f"{path}: no names of images. Give one on each line.")
    if unknown := sorted(names - {*known}):
        raise UsageError(f"{path}: no image {unknown[0]!r}.{closest(unknown[0], known)}")
    return names
