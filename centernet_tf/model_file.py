"""The model file: a .keras archive that also says what the network is, so it runs with nothing else at hand."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any, Literal

import keras
import pydantic

from centernet_tf import layers, preprocess  # noqa: F401  Keras finds the layers by their registered names.
from centernet_tf.centers import Centers
from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import as_camera
from centernet_tf.skeleton import Skeleton
from centernet_tf.task import TaskSet
from centernet_tf.tasks import build_tasks

CARD = "centernet.json"
FORMAT = 1


class InputCard(pydantic.BaseModel):
    """How an image becomes the network's input.

    Attributes:
        mode: "fixed" fits every image into height x width; "keep" keeps its resolution and pads to the stride.
        height: Of the fixed input in pixels; training's size where the resolution is kept.
        width: Likewise.
        stride: Sides of an input are multiples of it.
        mean: Normalisation, see `preprocess.Normalization`; likewise `std` and `order`.
        std: See mean.
        order: See mean.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    mode: Literal["fixed", "keep"] = "fixed"
    height: pydantic.PositiveInt
    width: pydantic.PositiveInt
    stride: pydantic.PositiveInt
    mean: tuple[float, float, float] = preprocess.COCO_MEAN
    std: tuple[float, float, float] = preprocess.COCO_STD
    order: Literal["bgr", "rgb"] = "bgr"

    @property
    def normalization(self) -> preprocess.Normalization:
        """As the graph takes it."""
        return preprocess.Normalization(self.mean, self.std, self.order)

    def resized(self, size: tuple[int, int] | None) -> "InputCard":
        """A card for fixed inputs of this height and width in pixels, or, for None, one that keeps the resolution.

        Raises:
            UsageError: A side is no multiple of the stride; the message names the nearest size.
        """
        if size is None:
            return self.model_copy(update={"mode": "keep"})
        height, width = nearest = tuple(max(self.stride, round(side / self.stride) * self.stride) for side in size)
        if nearest != tuple(size):
            raise UsageError(
                f"size {size[0]}x{size[1]} is not a multiple of {self.stride}, which this network needs. "
                f"Try {height}x{width}."
            )
        return self.model_copy(update={"mode": "fixed", "height": height, "width": width})


class ModelCard(pydantic.BaseModel):
    """Everything besides the weights that is needed to use or to go on training a network.

    Attributes:
        format: Version of this card.
        tasks: What the network predicts.
        backbone: Its trunk.
        classes: Names in channel order.
        max_objects: Detections per image, and objects trained on.
        class_specific_size: Whether the size head has two channels per class.
        head_channels: Width of the hidden convolution of each head, 0 for none; the backbone's own if None.
        skeleton: Joints of the objects; None where none are predicted. By name in the file.
        joint_classes: Classes whose objects have joints; all if None.
        box3d_size: Whether task box3d has a head for the size in the image.
        box3d_amodal_offset: Whether it has one for the way from the middle of the box to that in space.
        camera: 3x4 numbers, see `geometry.camera`: that of images whose own is not given. None where none is needed.
        input: How an image becomes its input.
        about: Where it comes from: settings, data, score. For people; nothing reads it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    tasks: tuple[str, ...]
    backbone: str
    classes: tuple[str, ...]
    max_objects: pydantic.PositiveInt
    class_specific_size: bool = False
    head_channels: pydantic.NonNegativeInt | None = None
    skeleton: Skeleton | None = None
    joint_classes: tuple[str, ...] | None = None
    box3d_size: bool = True
    box3d_amodal_offset: bool = False
    camera: tuple[tuple[float, float, float, float], ...] | None = None
    input: InputCard
    about: dict[str, Any] = {}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_before_skeletons(cls, values: Any) -> Any:
        """Files once had pairs of joints without names, and no task that used them."""
        return {name: value for name, value in values.items() if name != "flip_pairs"}

    @pydantic.field_validator("skeleton", mode="before")
    @classmethod
    def _skeleton_by_name(cls, value: Any) -> Any:
        return Skeleton.from_dict(value) if isinstance(value, dict) else value

    @pydantic.field_validator("camera", mode="before")
    @classmethod
    def _checked_camera(cls, value: Any) -> Any:
        return None if value is None else as_camera(value).tolist()

    @pydantic.field_serializer("skeleton")
    def _names_of_skeleton(self, value: Skeleton | None) -> dict[str, Any] | None:
        return value.as_dict() if value else None

    def task_set(self, **options: Any) -> TaskSet:
        """The tasks of this network; options are further settings of `Centers`, which only training needs."""
        centers = Centers(
            num_classes=len(self.classes),
            max_objects=self.max_objects,
            class_specific_size=self.class_specific_size,
            skeleton=self.skeleton,
            box3d_size=self.box3d_size,
            box3d_amodal_offset=self.box3d_amodal_offset,
            joint_classes=None if self.joint_classes is None else tuple(map(self.classes.index, self.joint_classes)),
            **options,
        )
        return build_tasks(self.tasks, centers)


def save_model(path: str | Path, network: keras.Model, card: ModelCard) -> None:
    """Writes network and card as one .keras file, whole or not at all.

    Raises:
        UsageError: The name does not end in .keras.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise UsageError(f"{path}: a model's file name ends in .keras; try {path.with_suffix('.keras')}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.keras")
    try:
        network.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(CARD, card.model_dump_json(indent=2))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_card(path: str | Path) -> ModelCard:
    """Reads what a model file says of itself, without its weights.

    Raises:
        UsageError: No such file, not a .keras archive, one that this package did not write, or one that a later version
            wrote. The message names the file and says what to do.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such model file. Train one with `centernet train`.")
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read(CARD)
    except zipfile.BadZipFile:
        raise UsageError(
            f"{path}: not a .keras file, or one that was cut off. Give a file `centernet train` wrote."
        ) from None
    except KeyError:
        raise UsageError(
            f"{path}: a Keras model, but not one of ours: {CARD} is not in it. Give a file `centernet train` wrote."
        ) from None
    try:
        content = json.loads(text)
    except ValueError as error:  # Broken text as well as broken JSON.
        raise UsageError(f"{path}: {CARD} is damaged: {error}. Copy the file again.") from None
    if not isinstance(content, dict):
        raise UsageError(f"{path}: {CARD} is damaged: it holds a {type(content).__name__}. Copy the file again.")
    if content.get("format") != FORMAT:
        raise UsageError(
            f"{path}: model format {content.get('format')!r}, but this version reads {FORMAT}. Upgrade centernet_tf."
        )
    try:
        return ModelCard.model_validate(content)
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise UsageError(f"{path}: {CARD} is damaged: {where}: {problem['msg']}.") from None


def load_model(path: str | Path) -> tuple[keras.Model, ModelCard]:
    """Reads network and card.

    Returns:
        Model from normalised images [B, H, W, 3] to {head: [map per stack]}, and its card.

    Raises:
        UsageError: As `read_card`, or the weights cannot be read.
    """
    card = read_card(path)
    try:
        return keras.models.load_model(path, compile=False), card
    except (ValueError, OSError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path}: the network in it cannot be rebuilt ({error}). Copy or train it again.") from error
