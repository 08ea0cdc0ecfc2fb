"""Records to batches: read, decode, augment by one matrix, pad, batch. Heatmaps are made on the device, not here.

Everything random follows from the seed, the epoch and the position in it, so any step can be reached again without
running the ones before.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from centernet_tf.data.augment import PLAIN_COLOR, Augmentation, is_plain, plain_matrix
from centernet_tf.data.checks import check_classes, check_numbers
from centernet_tf.data.dataset import Dataset
from centernet_tf.data.example import (
    DAMAGE,
    ENCODED,
    FILENAME,
    SOURCE_ID,
    rows_of,
    spec,
    stored_size,
)
from centernet_tf.data.record import BASE
from centernet_tf.data.streams import end_all_at_exit
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry import affine
from centernet_tf.properties.fields import JITTERED, ROTATED, SHARED, Field
from centernet_tf.properties.property import Property
from centernet_tf.properties.rows import select

# Few shapes mean few compilations: images that the device warps are padded to multiples of the first, and rows of
# objects to the second doubled until the fullest image of the batch fits.
PADDING = 32
FEWEST_ROWS = 16

# An image with a side longer than this many times the input's, and than this many pixels, is warped on the host in any
# case: a batch is padded to its widest times its tallest image, and warping takes as long as the input is large, not
# the image.
WARPED_SIDES = 2
WARPED_PIXELS = 1024

_DRAWN = (ROTATED, JITTERED)  # fields that augmentation itself makes
_WHERE = ("Graph execution error", "Detected at node", "File ", "<stack traces")
_DAMAGE = (*DAMAGE, tf.errors.InvalidArgumentError)


@contextlib.contextmanager
def reading(dataset: Dataset) -> Iterator[None]:
    """Turns what TensorFlow says of a damaged record into a DataError that names the records and the remedy."""
    try:
        yield
    except (*_DAMAGE, UnicodeDecodeError) as error:
        # TensorFlow repeats the bytes it cannot parse in its message, which may then be no text itself.
        reason = _reason(error.message) if isinstance(error, _DAMAGE) else "it is not a tf.train.Example"
        raise DataError(
            f"{dataset.directory}: a record cannot be read ({reason}). "
            f"`centernet inspect {dataset.directory}` finds which."
        ) from error


def _reason(message: str) -> str:
    """The line of a message that says what is wrong; within `fit` it stands behind where in the graph it happened."""
    lines = [line.strip() for line in message.splitlines()]
    # What Python raises in a stream comes with the name of its class.
    told = next((line for line in lines if "ValueError: " in line), None)
    if told is None:
        told = next((line for line in lines if line and not line.startswith(_WHERE)), "damaged")
    return told.rpartition("ValueError: ")[2].rstrip(".")


@dataclasses.dataclass(frozen=True)
class Feed:
    """How images and objects become batches.

    Attributes:
        size: Height and width of the network's input in pixels.
        window: What of an image fills the input's width.
        max_objects: Rows per image; further objects are left out, in file order, as in the original.
        fields: What the tasks train on; a property must have each, if not every record.
        properties: Of the records, at least those whose fields are wanted.
        device_warp: Ship whole images and let the training step warp them, instead of warping here. Those with a side
            above `largest_side` are warped here all the same, so that the memory of a batch is bounded.
        workers: Images prepared at the same time; None lets tf.data choose.
        shuffle: Records that are shuffled among each other; shards come in random order besides.
        seed: Of everything random.
    """

    size: tuple[int, int]
    max_objects: int = 100
    window: affine.Window = "longer side"
    fields: tuple[Field, ...] = SHARED
    properties: tuple[Property, ...] = ()
    device_warp: bool = False
    workers: int | None = None
    shuffle: int = 2048
    seed: int = 317

    def __post_init__(self) -> None:
        known = {*BASE, *(field.name for field in _DRAWN)}
        known |= {field.name for one in self.properties for field in one.fields}
        if missing := [field.name for field in self.fields if field.name not in known]:
            raise ValueError(
                f"No property has the fields {', '.join(missing)}. Give `properties` those that the tasks learn."
            )

    @property
    def largest_side(self) -> int:
        """Pixels up to which a side of an image may be long that is shipped whole."""
        return max(WARPED_PIXELS, WARPED_SIDES * max(self.size))

    @property
    def _parallel(self) -> int:
        return self.workers or tf.data.AUTOTUNE

    def training(self, dataset: Dataset, batch: int, augment: Augmentation, step: int = 0) -> tf.data.Dataset:
        """Endless shuffled batches.

        Args:
            dataset: Records.
            batch: Images per step; what does not fill a last batch of an epoch is left out of that epoch.
            augment: How images are changed.
            step: The step to begin with; the batches are those an unbroken run would have seen from there.

        Returns:
            Batches of (inputs, rows). Inputs: "image" [B, h, w, 3] uint8 RGB and "color" [B, 6] float32; where the
            device warps, the image is [B, H, W, 3], whole, and "fit" [B, 4] float32 is as in `preprocess.warp`. Rows:
            {field: [B, N, ...]} in pixels of the network's input, and "valid" [B, N] bool; N is 16, 32, ... up to
            max_objects, enough for the batch; fields of the image are [B, ...], of pairs [B, max_objects, ...].

        Raises:
            UsageError: Fewer images than one batch, or as `check_augment`.
        """
        self.check_augment(augment)
        steps = dataset.images // batch
        if steps == 0:
            raise UsageError(
                f"{dataset.directory}: {dataset.images} images do not fill one batch of {batch}. "
                f"Set train.batch_size to {max(dataset.images, 1)} or less, or add images."
            )
        start = step // steps

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            examples = self._shuffled(dataset.shards, number).enumerate().take(steps * batch)
            skipped = tf.where(tf.equal(number, start), step % steps * batch, 0)
            return examples.skip(tf.cast(skipped, tf.int64)).map(lambda place, example: (number, place, example))

        def prepare(number: tf.Tensor, place: tf.Tensor, example: tf.Tensor) -> Any:
            return self._prepare(example, dataset.classes, (number, place), augment)

        epochs = tf.data.Dataset.range(start, tf.int64.max).flat_map(epoch)
        prepared = epochs.map(prepare, self._parallel, deterministic=True)
        return self._batched(prepared, batch).prefetch(tf.data.AUTOTUNE)

    def check_augment(self, augment: Augmentation) -> None:
        """Raises UsageError where images would be changed so that a task learns nothing from them.

        That is where images are rotated for no task that learns from rotated ones, or by the device, which cannot, and
        where all are scaled or moved although distances are to be learnt.
        """
        if augment.jitters_all and JITTERED in self.fields:
            raise UsageError(
                "augment: every image would be scaled or moved, and from such images a task here cannot learn "
                "distances. Set augment.crop to false, and augment.jitter_probability to 0.5 as the original, or shift "
                "and scale to 0."
            )
        if augment.turns and ROTATED not in self.fields:
            raise UsageError(
                "augment.rotate: boxes do not rotate, and no task here learns anything else from rotated images. Set "
                "augment.rotate_probability to 0."
            )
        if augment.turns and self.device_warp:
            raise UsageError("augment.rotate: the device does not rotate images. Set data.device_warp to false.")

    def validation(self, dataset: Dataset, batch: int) -> tf.data.Dataset:
        """Every image once, in file order, whole and centred; batches as `training`, the last one may be smaller."""
        examples = tf.data.TFRecordDataset(list(map(str, dataset.shards)))
        prepared = examples.map(lambda example: self._prepare(example, dataset.classes, None, None), self._parallel)
        # Without its length, Keras warns that the data ran out.
        counted = self._batched(prepared, batch).apply(
            tf.data.experimental.assert_cardinality(-(-dataset.images // batch))
        )
        return counted.prefetch(tf.data.AUTOTUNE)

    def _shuffled(self, shards: Sequence[Any], epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        paths = tf.random.experimental.stateless_shuffle(list(map(str, shards)), seed)
        records = tf.data.Dataset.from_tensor_slices(paths).interleave(
            tf.data.TFRecordDataset, cycle_length=8, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        # Dataset.shuffle would mix TensorFlow's global seed in, and fails where that is 0.
        blocks = records.batch(self.shuffle).enumerate()
        return blocks.map(
            lambda block, part: tf.random.experimental.stateless_shuffle(part, [self.seed + block, epoch])
        ).unbatch()

    def _prepare(self, example: tf.Tensor, classes: Sequence[str], place: Any, augment: Augmentation | None) -> Any:
        fields = [field for field in self.fields if field not in _DRAWN]
        names = {field.name for field in fields}
        used = [one for one in self.properties if names & {field.name for field in one.fields}]
        lists = tf.io.parse_single_example(example, spec(used))
        image = tf.io.decode_image(lists.pop(ENCODED)[0], channels=3, expand_animations=False)
        for key in (FILENAME, SOURCE_ID):
            del lists[key]
        # Pixels take the way through NumPy only where they are warped there.
        matrix, color, jittered, valid, *values = tf.numpy_function(
            self._draw(fields, tuple(lists), classes, used, augment),
            [tf.shape(image), *(place or (0, 0)), *lists.values()],
            [tf.float32, tf.float32, tf.bool, tf.bool, *(field.dtype for field in fields)],
            stateful=False,
        )
        matrix = tf.ensure_shape(matrix, (2, 3))
        inputs = {"image": image, "color": tf.ensure_shape(color, (6,))}
        if self.device_warp:
            fit = tf.stack([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]])
            inputs["image"], inputs["fit"] = tf.cond(
                tf.reduce_any(tf.shape(image)[:2] > self.largest_side),
                lambda: (self._warped(image, matrix), tf.constant([1.0, 1.0, 0.0, 0.0])),
                lambda: (image, fit),
            )
            inputs["image"].set_shape((None, None, 3))
        else:
            inputs["image"] = self._warped(image, matrix)
        rows = {field.name: tf.ensure_shape(value, self._shape(field)) for field, value in zip(fields, values)}
        if ROTATED in self.fields:
            rows[ROTATED.name] = tf.not_equal(matrix[0, 1], 0)
        if JITTERED in self.fields:
            rows[JITTERED.name] = tf.ensure_shape(jittered, ())
        return inputs, {**rows, "valid": tf.ensure_shape(valid, (self.max_objects,))}

    def _shape(self, field: Field) -> tuple[int, ...]:
        """Of one image's padded array."""
        return field.shape if field.level == "image" else (self.max_objects, *field.shape)

    def _draw(
        self,
        fields: Sequence[Field],
        keys: Sequence[str],
        classes: Sequence[str],
        properties: Sequence[Property],
        augment: Augmentation | None,
    ) -> Callable[..., Any]:
        """Draws one image's matrix and colour, reads its objects and moves them. Boxes move as if nothing rotated."""

        def draw(shape: np.ndarray, epoch: int, place: int, *lists: np.ndarray) -> Any:
            height, width = int(shape[0]), int(shape[1])
            if augment is None:
                matrix, color = plain_matrix(height, width, self.size, self.window), PLAIN_COLOR
            else:
                random = np.random.default_rng([self.seed, epoch, place])
                matrix = augment.matrix(random, height, width, self.size, self.window)
                color = augment.color(random)
            stored = dict(zip(keys, lists))
            rows = rows_of(stored, stored_size(stored) or (width, height), classes, properties)
            check_classes(rows, classes)
            check_numbers(rows)
            # What is cut off is decided on the output grid, from boxes as they were annotated, as in the original.
            rows = {**rows, "boxes": rows["full_boxes"]}
            count = len(rows["boxes"])
            if count > self.max_objects:
                rows = select(rows, fields, np.arange(self.max_objects), count)
            straight = affine.upright(matrix, self.size) if matrix[0, 1] else matrix
            mirrored = np.linalg.det(matrix[:, :2]) < 0
            padded = []
            for field in fields:
                moved = affine.move(rows[field.name], straight if field.motion == "boxes" else matrix, field.motion)
                if mirrored and field.order:
                    moved = moved[:, list(field.order)]
                padded.append(self._padded(field, moved))
            jittered = not is_plain(matrix, height, width, self.size, self.window)
            valid = np.arange(self.max_objects) < count
            return matrix.astype(np.float32), color, jittered, valid, *padded

        return draw

    def _padded(self, field: Field, values: np.ndarray) -> np.ndarray:
        full = np.full(self._shape(field), field.fill, field.dtype)
        if field.level == "image":
            full[...] = values
        else:
            full[: len(values)] = values[: self.max_objects]
        return full

    def _warped(self, image: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        """The input [h, w, 3] uint8; OpenCV's warp is six times as fast as TensorFlow's operator."""

        def warp(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
            return cv2.warpAffine(pixels, matrix.astype(np.float64), self.size[::-1], flags=cv2.INTER_LINEAR)

        return tf.ensure_shape(tf.numpy_function(warp, [image, matrix], tf.uint8, stateful=False), (*self.size, 3))

    def _batched(self, samples: tf.data.Dataset, batch: int) -> tf.data.Dataset:
        end_all_at_exit()
        batches = samples.padded_batch(batch) if self.device_warp else samples.batch(batch)
        return batches.map(self._trim, tf.data.AUTOTUNE, deterministic=True)

    def _trim(self, inputs: dict[str, tf.Tensor], rows: dict[str, tf.Tensor]) -> Any:
        """Cuts rows that no image of the batch needs: drawing an absent object costs as much as a present one."""
        if self.device_warp:
            images = inputs["image"]
            extra = -tf.shape(images)[1:3] % PADDING
            if tf.reduce_any(extra > 0):
                images = tf.pad(images, [[0, 0], [0, extra[0]], [0, extra[1]], [0, 0]])
            inputs = {**inputs, "image": images}
        fullest = tf.reduce_max(tf.reduce_sum(tf.cast(rows["valid"], tf.int32), axis=1))
        count = tf.constant(FEWEST_ROWS)
        while count < fullest:
            count *= 2
        whole = [field.name for field in self.fields if field.level != "object"]
        return inputs, {
            name: value if name in whole else value[:, : tf.minimum(count, self.max_objects)]
            for name, value in rows.items()
        }
