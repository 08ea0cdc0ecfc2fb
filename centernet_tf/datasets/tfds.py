"""Reads the detection sets of TensorFlow Datasets: whatever has an image and a list of objects with boxes.

Nothing is named per data set; the features say where the image, the boxes, the labels and the flags are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.datasets.items import Item, Split
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.media.images import inspect_header

# Names that hold the class, in order; other class labels (pose, source, occlusion) say something else of an object.
LABELS = ("label", "type", "category", "class")
CROWD = ("is_crowd", "is_group_of")
DIFFICULT = ("is_difficult", "difficult", "invalid")
IDS = ("image/id", "image_id")
FILENAMES = ("image/filename", "image/file_name", "filename", "file_name")


@dataclass(frozen=True)
class Layout:
    """Where the features of a data set hold what a detector needs; None where they do not.

    Attributes:
        image: Key of the image.
        objects: Key of the sequence of objects; `box`, `label`, `crowd`, `difficult` and `area` are keys in it.
        image_id: Key of a whole number that names the image.
        filename: Key of the image's file name.
        classes: Names of the classes.
    """

    image: str
    objects: str
    box: str
    label: str | None
    crowd: str | None
    difficult: str | None
    area: str | None
    image_id: str | None
    filename: str | None
    classes: tuple[str, ...]


class Images:
    """The images of a split in the order of their files, read anew by each loop; the length is known beforehand."""

    def __init__(self, builder: Any, split: str, layout: Layout, length: int) -> None:
        self._builder, self._split, self._layout, self._length = builder, split, layout, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Item]:
        import tensorflow_datasets

        layout, decode = self._layout, tensorflow_datasets.decode
        wanted = {key: True for key in (layout.image, layout.image_id, layout.filename) if key}
        parts = (layout.box, layout.label, layout.crowd, layout.difficult, layout.area)
        wanted[layout.objects] = {key for key in parts if key}
        # The bytes go into the records as they are: no second JPEG loss, and no decoding here.
        decoders = decode.PartialDecoding(wanted, decoders={layout.image: decode.SkipDecoding()})
        rows = self._builder.as_dataset(split=self._split, decoders=decoders, shuffle_files=False)
        for index, row in enumerate(tensorflow_datasets.as_numpy(rows)):
            yield to_item(row, layout, index, f"{self._builder.info.name} {self._split}")


def read(
    name: str,
    split: str,
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    one_class: str | None = None,
) -> Split:
    """Opens one split of a data set.

    Args:
        name: As TensorFlow Datasets knows it: "coco/2017", "voc/2007", "kitti", "wider_face", ...
        split: "train", "validation", "train[:10%]", ...
        data_dir: Where prepared data sets lie; the library's own default, ~/tensorflow_datasets, where None.
        download: Fetch and prepare the data set where it is not yet there.
        one_class: Give every object this class, whatever its label. A data set without labels gets the singular of
            its list of objects by default: "faces" become "face".

    Returns:
        Names of the classes, and the images, whose boxes are in pixels.

    Raises:
        UsageError: TensorFlow Datasets is not installed, does not know the name or the split, the data set is not yet
            on this machine, or it has no boxes.
    """
    tfds = _library()
    try:
        builder = tfds.builder(name, data_dir=None if data_dir is None else str(data_dir))
    except ValueError as error:  # the library's "not found" lists hundreds of names
        raise UsageError(
            f"tfds: cannot open data set {name!r}: {str(error).splitlines()[0]}"
            f"{closest(name.split('/')[0], tfds.list_builders())}"
        ) from error
    layout = find_layout(name, builder.info.features, one_class)  # complains before a long download
    if download:
        builder.download_and_prepare()
        layout = find_layout(name, builder.info.features, one_class)  # some class names come with the data
    else:
        _check_prepared(name, builder)
    return Split(layout.classes, Images(builder, split, layout, _count(name, builder, split)))


def find_layout(name: str, features: Any, one_class: str | None = None) -> Layout:
    """Finds out where the features (`builder.info.features`) hold images, boxes and labels.

    Raises:
        UsageError: There are none or several of what there must be one; says which features there are.
    """
    tfds = _library()
    kinds = tfds.features
    listed = ", ".join(sorted(features))
    images = [key for key, value in features.items() if isinstance(value, kinds.Image)]
    if not images:
        raise UsageError(f"tfds: {name} has no image among its features: {listed}.")
    boxes = {
        key: box
        for key, value in features.items()
        if isinstance(getattr(value, "feature", None), kinds.FeaturesDict)
        and (box := _first(value.feature, lambda feature: isinstance(feature, kinds.BBoxFeature)))
    }
    if not boxes:
        raise UsageError(
            f"tfds: {name} has no boxes: none of its features is a sequence of objects with a BBoxFeature. "
            f"It has {listed}. Choose a detection set such as coco/2017, voc/2007, kitti or wider_face."
        )
    image = _only(name, "images", images, "image")
    objects = _only(name, "lists of boxes", list(boxes), "objects")
    own = features[objects].feature
    form = getattr(own[boxes[objects]], "bbox_format", None)
    if form is not None and form.name != "REL_YXYX":
        raise UsageError(f"tfds: boxes of {name} are stored as {form.name}; only REL_YXYX (normalised) can be read.")
    labels = [key for key, value in own.items() if isinstance(value, kinds.ClassLabel)]
    label = next((key for key in LABELS if key in labels), None)
    if labels and not label and not one_class:
        label = _only(name, "class labels", labels, LABELS[0])
    if one_class or not label:
        label, classes = None, (one_class or objects.rsplit("/")[-1].removesuffix("s"),)
    else:
        classes = tuple(own[label].names)
    return Layout(
        image=image,
        objects=objects,
        box=boxes[objects],
        label=label,
        crowd=next((key for key in CROWD if key in own), None),
        difficult=next((key for key in DIFFICULT if key in own), None),
        area="area" if "area" in own else None,
        image_id=next(
            (key for key in IDS if key in features and np.issubdtype(features[key].np_dtype, np.integer)), None
        ),
        filename=next((key for key in FILENAMES if key in features), None),
        classes=classes,
    )


def to_item(row: dict[str, Any], layout: Layout, index: int, name: str) -> Item:
    """Makes one image to convert from one example.

    Args:
        row: What the data set gives, as NumPy; the image as bytes of its file or decoded [H, W, 3 or 1] uint8.
        layout: Where things are.
        index: Position of the image in the split; its id and key where the data set has none.
        name: What errors call the data set.

    Raises:
        DataError: Boxes are not from 0 to 1.
    """
    image, objects = row[layout.image], row[layout.objects]
    filename = row[layout.filename].decode("utf-8", "backslashreplace") if layout.filename else f"{index:08d}"
    size = _size(image)
    boxes = np.asarray(objects[layout.box], np.float32).reshape(-1, 4)
    if len(boxes) and not -1e-3 <= np.min(boxes) <= np.max(boxes) <= 1.001:
        raise DataError(
            f"{name}: {filename}: boxes from {np.min(boxes):g} to {np.max(boxes):g}; expected ymin, xmin, ymax, xmax "
            "from 0 to 1 of the image. This data set stores them differently and cannot be read."
        )
    return Item(
        key=f"{index:09d}",
        image_id=int(row[layout.image_id]) if layout.image_id else index,
        source=image if isinstance(image, bytes) else np.repeat(image, 3 // image.shape[-1], axis=-1),
        filename=filename,
        boxes=boxes[:, [1, 0, 3, 2]] * np.array(size or (1, 1), np.float32)[[0, 1, 0, 1]],
        classes=objects[layout.label] if layout.label else np.zeros(len(boxes), np.int64),
        crowd=objects[layout.crowd] if layout.crowd else None,
        difficult=objects[layout.difficult] if layout.difficult else None,
        area=objects[layout.area] if layout.area else None,
        width=size[0] if size else None,
        height=size[1] if size else None,
    )


def _size(image: bytes | np.ndarray) -> tuple[int, int] | None:
    """Width and height; None of a damaged image, which the writer will report with all others."""
    if not isinstance(image, bytes):
        return image.shape[1], image.shape[0]
    try:
        header = inspect_header(image)
    except DataError:
        return None
    return header.width, header.height


def _library() -> Any:
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise UsageError(
            "tfds: TensorFlow Datasets is not installed. Install it with: pip install centernet_tf[tfds]"
        ) from error
    return tensorflow_datasets


def _first(features: Any, accept: Any) -> str | None:
    return next((key for key, value in features.items() if accept(value)), None)


def _only(name: str, what: str, found: list[str], preferred: str) -> str:
    """The preferred key, or the only one."""
    if preferred in found:
        return preferred
    if len(found) > 1:
        raise UsageError(f"tfds: {name} has several {what} ({', '.join(found)}) and none is named {preferred!r}.")
    return found[0]


def _check_prepared(name: str, builder: Any) -> None:
    if not builder.info.splits and not Path(builder.data_dir).exists():
        raise UsageError(
            f"tfds: {name} is not prepared in {builder.data_dir}. "
            "Add --download to fetch it, or point --data-dir at the folder that has it."
        )


def _count(name: str, builder: Any, split: str) -> int:
    """Number of images in a split, which may be a slice or a sum of splits."""
    known = builder.info.splits
    if not known:
        return 0
    parts = [part.strip() for part in split.split("+")]
    for part in parts:
        plain = part.split("[")[0]
        if plain not in known:
            raise UsageError(f"tfds: {name} has no split {plain!r}.{closest(plain, known)} Known: {', '.join(known)}.")
    return sum(known[part].num_examples for part in parts)
