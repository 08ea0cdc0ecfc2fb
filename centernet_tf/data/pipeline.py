"""Records to batches: read, decode, augment by one matrix, pad, batch. Heatmaps are made on the device, not here.

Everything random follows from the seed, the epoch and the position in it, so any step can be reached again without
running the ones before.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.clips import windows
from centernet_tf.data.dataset import Dataset
from centernet_tf.data.mixed import Mixer
from centernet_tf.data.overall import with_overall
from centernet_tf.data.partners import mixed_sample, with_partners
from centernet_tf.data.pixels import decoded, side_by_side, stretched_image, warped, with_colors, with_hole
from centernet_tf.data.record import BASE
from centernet_tf.data.sample import AUGMENTED, Sampler
from centernet_tf.data.scales import size_of_batch
from centernet_tf.data.share import WHOLE, Share
from centernet_tf.data.streams import end_all_at_exit
from centernet_tf.data.suitable import check_augment
from centernet_tf.data.whole import Flags, only_whole, samples, seen_frames, steps, whole_windows
from centernet_tf.geometry import affine
from centernet_tf.points.task import IMAGE, Clip, Input
from centernet_tf.preprocess import COCO_MEAN, Resample
from centernet_tf.properties.fields import JITTERED, ROTATED, SHARED, ZOOM, Field
from centernet_tf.properties.property import Property

# Few shapes mean few compilations: images that the device warps are padded to multiples of the first, and rows of
# objects to the second doubled until the fullest image of the batch fits.
PADDING = 32
FEWEST_ROWS = 16

# An image with a side longer than this many times the input's, and than this many pixels, is warped on the host in any
# case: a batch is padded to its widest times its tallest image, and warping takes as long as the input is large, not
# the image.
WARPED_SIDES = 2
WARPED_PIXELS = 1024

ROWS = "rows"  # among the inputs: the rows that others are drawn from
# What the draw of a sample gives besides its rows: matrices, three changes of colour, jittered, zoom, valid.
_TYPES = (*4 * (tf.float32,), tf.bool, tf.float32, tf.bool)
_VALID = Field("valid", "bool", (), "fixed", False, "which rows are objects")


@dataclasses.dataclass(frozen=True)
class Feed:
    """How images and objects become batches.

    Attributes:
        size: Height and width of the network's input in pixels.
        window: What of an image fills the input's width.
        fill: Grey level of what an image does not fill of the input, 0 to 255.
        resample: How the whole image is scaled to the input (`model.card.InputCard`), before anything else is done.
        max_objects: Rows per image; further objects are left out, in file order, as in the original.
        fields: What the tasks train on; a property must have each, if not every record.
        properties: Of the records, at least those whose fields are wanted.
        device_warp: Ship whole images and let the training step warp them, instead of warping here. Those with a side
            above `largest_side` are warped here all the same, so that the memory of a batch is bounded.
        workers: Images prepared at the same time; None lets tf.data choose.
        shuffle: Records that are shuffled among each other; shards come in random order besides.
        seed: Of everything random.
        inputs: Of the network.
        frames: Which frames of a video a sample has, by their distance from its own.
        clip: How they make one sample; None for single images.
        canvas: Colour [3] RGB, 0 to 255, of the canvas that stretched images are put on.
        sizes: Heights and widths of which every batch of a training has one; `size` alone where there are none.
        share: Which images of each batch of a training are made.
    """

    size: tuple[int, int]
    max_objects: int = 100
    window: affine.Window = "longer side"
    fill: float = 0.0
    resample: Resample = "bilinear"
    fields: tuple[Field, ...] = SHARED
    properties: tuple[Property, ...] = ()
    device_warp: bool = False
    workers: int | None = None
    shuffle: int = 2048
    seed: int = 317
    inputs: Mapping[str, Input] = dataclasses.field(default_factory=lambda: dict(IMAGE))
    frames: tuple[int, ...] = (0,)
    clip: Clip | None = None
    canvas: tuple[float, ...] = tuple(255 * one for one in COCO_MEAN[::-1])
    sizes: tuple[tuple[int, int], ...] = ()
    share: Share = WHOLE

    def __post_init__(self) -> None:
        known = {*BASE, *(field.name for field in AUGMENTED)}
        known |= {field.name for field in (() if self.clip is None else self.clip.fields)}
        known |= {field.name for one in self.properties for field in (*one.fields, *one.overall)}
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

    def training(
        self, dataset: Dataset, batch: int, augment: Augmentation, step: int = 0, epochs: int | None = None
    ) -> tf.data.Dataset:
        """Endless shuffled batches.

        Args:
            dataset: Records.
            batch: Images per step; what does not fill a last batch of an epoch is left out of that epoch.
            augment: How images are changed.
            step: The step to begin with; the batches are those an unbroken run would have seen from there.
            epochs: Of the whole run, before whose end `augment.close_last` counts; None where it has none.

        Returns:
            Batches of (inputs, rows). Inputs: "image" [B, h, w, 3] uint8 RGB and "color" [B, 6] float32; where the
            device warps, the image is [B, H, W, 3], whole, and "fit" [B, 4] float32 is as in `preprocess.warp`. Where
            there are clips, other frames by the names of the network's inputs, [B, h, w, 3] or [B, T, h, w, 3] uint8,
            and "rows" {field: [B, N, ...]} that inputs are drawn from, with "valid" [B, N] bool. Rows:
            {field: [B, N, ...]} in pixels of the network's input, and "valid" [B, N] bool; N is 16, 32, ... up to
            max_objects, enough for the batch; fields of the image are [B, ...], of pairs [B, max_objects, ...].

        Raises:
            UsageError: Fewer images than one batch, or as `check_augment`.
        """
        self.check_augment(augment)
        length = self.steps(dataset, batch)
        start, feed, flags = step // length, self._told(dataset), self._flags(dataset)
        closed = tf.int64.max if epochs is None else epochs - augment.close_last
        sizes = self.sizes or (self.size,)
        feeds = [dataclasses.replace(feed, size=size) for size in sizes]

        def epoch(number: tf.Tensor) -> tf.data.Dataset:
            examples = self._shuffled(dataset.shards, number, flags, augment.mixes, number >= closed)
            examples = examples.enumerate().take(length * batch)
            skipped = tf.where(tf.equal(number, start), step % length * batch, 0)
            made = self.share.of(examples.skip(tf.cast(skipped, tf.int64)), batch)
            return made.map(lambda place, example: (number, place, example))

        def prepare(number: tf.Tensor, place: tf.Tensor, example: Any) -> Any:
            ways = [one._mixed if augment.mixes else one._prepare for one in feeds]
            makers = [functools.partial(way, example, dataset.classes, (number, place), augment) for way in ways]
            drawn = size_of_batch(len(sizes), self.seed, number, place // batch)
            which = tf.where(number >= closed, sizes.index(self.size), drawn)
            inputs, rows = tf.switch_case(which, makers) if len(sizes) > 1 else makers[0]()
            if augment.erase:
                chance = tf.where(number >= closed, 0.0, augment.erase)
                image = with_hole(inputs["image"], chance, augment.erase_area, (self.seed, number, place))
                inputs = {**inputs, "image": image}
            return inputs, rows

        samples = tf.data.Dataset.range(start, tf.int64.max).flat_map(epoch)
        prepared = samples.map(prepare, self._parallel, deterministic=True)
        return self._batched(prepared, self.share.images(batch)).prefetch(tf.data.AUTOTUNE)

    def check_augment(self, augment: Augmentation) -> None:
        """Raises UsageError as `suitable.check_augment`."""
        check_augment(self, augment)

    def validation(self, dataset: Dataset, batch: int) -> tf.data.Dataset:
        """Every image once, in file order, whole and centred; batches as `training`, the last one may be smaller.

        What takes all records of the training set to tell is unknown here.
        """
        paths = tf.data.Dataset.from_tensor_slices(list(map(str, dataset.shards)))
        flags, feed = self._flags(dataset), self._told(None)
        examples = paths.flat_map(lambda path: self._read(path, None, flags))
        prepared = examples.map(lambda example: feed._prepare(example, dataset.classes, None, None), self._parallel)
        # Without its length, Keras warns that the data ran out.
        length = -(-samples(dataset, flags) // batch)
        counted = self._batched(prepared, batch).apply(tf.data.experimental.assert_cardinality(length))
        return counted.prefetch(tf.data.AUTOTUNE)

    def steps(self, dataset: Dataset, batch: int) -> int:
        """How many whole batches of samples an epoch has; errors as of `whole.steps`."""
        return steps(dataset, self._flags(dataset), self.inputs, batch)

    def _flags(self, dataset: Dataset) -> Flags:
        """Which records make a sample, by shard; None where all do."""
        wanted = self.clip is not None and self.clip.whole is not None
        return whole_windows(dataset, self.properties, self.clip, seen_frames(self.inputs)) if wanted else None

    def _told(self, dataset: Dataset | None) -> "Feed":
        """The same with properties that have seen all records of a training set, where fields take that."""
        files, classes = ((), ()) if dataset is None else (dataset.files, dataset.classes)
        return dataclasses.replace(self, properties=with_overall(self.properties, self.fields, files, classes))

    def _shuffled(
        self, shards: Sequence[Any], epoch: tf.Tensor, flags: Flags, mixes: Mapping[str, float], closed: tf.Tensor
    ) -> tf.data.Dataset:
        """The records of an epoch; where some are mixed, and not `closed`, as of `with_partners`."""
        seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        paths = tf.random.experimental.stateless_shuffle(list(map(str, shards)), seed)
        records = tf.data.Dataset.from_tensor_slices(paths).interleave(
            lambda path: self._read(path, epoch, flags),
            cycle_length=8,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        # Dataset.shuffle would mix TensorFlow's global seed in, and fails where that is 0.
        blocks = records.batch(self.shuffle).enumerate()
        shuffled = blocks.map(
            lambda block, part: (block, tf.random.experimental.stateless_shuffle(part, [self.seed + block, epoch]))
        )
        if not mixes:
            return shuffled.map(lambda block, part: part).unbatch()
        return shuffled.flat_map(
            lambda block, part: with_partners(part, mixes, tf.stack([self.seed + block, epoch]), closed)
        )

    def _read(self, path: tf.Tensor, epoch: tf.Tensor | None, flags: Flags) -> tf.data.Dataset:
        """The records of a shard, each with its neighbours where clips are wanted; without epoch nothing is random."""
        records = tf.data.TFRecordDataset(path)
        if self.clip is None:
            return records
        # Of its name alone, so that records may move.
        number = tf.strings.to_hash_bucket_fast(tf.strings.regex_replace(path, r".*[/\\]", ""), 2**31)
        seed = tf.stack(
            [tf.constant(self.seed, tf.int64) + number, tf.constant(0, tf.int64) if epoch is None else epoch]
        )
        made = windows(records, self.frames, 0 if epoch is None else self.clip.reach, seed)
        return made if flags is None else only_whole(made, path, flags)

    def _prepare(self, examples: Any, classes: Sequence[str], place: Any, augment: Augmentation | None) -> Any:
        """One serialized record, or those of `frames` [F], to inputs and rows."""
        sampler = self._sampler(classes, augment)
        frames = [examples] if self.clip is None else tf.unstack(examples, len(self.frames))
        same = tf.stack([tf.equal(one, frames[self.frames.index(0)]) for one in frames])
        images, lists = decoded(frames, sampler.properties)
        # Pixels take the way through NumPy only where they are warped there.
        matrices, color, vivid, distortion, jittered, zoom, valid, *values = tf.numpy_function(
            self._draw(sampler, tuple(lists[0])),
            [
                *(place or (0, 0)),
                same,
                *(tf.shape(image) for image in images),
                *(v for one in lists for v in one.values()),
            ],
            [*_TYPES, *(field.dtype for field in self._fields(sampler))],
            stateful=False,
        )
        matrices = tf.ensure_shape(matrices, (len(frames), 2, 3))
        images = with_colors(images, augment, vivid, distortion)
        inputs = {**self._shown(images, matrices), "color": tf.ensure_shape(color, (6,))}
        values = [tf.ensure_shape(one, sampler.shape(field)) for one, field in zip(values, self._fields(sampler))]
        rows = {field.name: value for field, value in zip(sampler.padded, values)}
        if self.clip is not None and self.clip.drawn:
            drawn = values[len(sampler.padded) :]
            inputs[ROWS] = {field.name: value for field, value in zip((*self.clip.drawn, _VALID), drawn)}
        matrix = matrices[self.frames.index(0)]
        if ROTATED in self.fields:
            with_boxes = augment is not None and augment.fits
            rows[ROTATED.name] = tf.logical_and(matrix[0, 1] != 0, not with_boxes)
        if JITTERED in self.fields:
            rows[JITTERED.name] = tf.ensure_shape(jittered, ())
        if ZOOM in self.fields:
            rows[ZOOM.name] = tf.ensure_shape(zoom, ())
        return inputs, {**rows, "valid": tf.ensure_shape(valid, (self.max_objects,))}

    def _mixed(self, examples: Any, classes: Sequence[str], place: Any, augment: Augmentation) -> Any:
        """As `_prepare`, of what `with_partners` gives."""
        way, records = examples
        mixer = Mixer(self._sampler(classes, augment), self.fill, self.resample)
        makers = [lambda: self._prepare(records[0], classes, place, augment)]
        makers += [functools.partial(mixed_sample, mixer, name, records, self.seed, place) for name in augment.mixes]
        return tf.switch_case(way, makers)

    def _shown(self, images: Sequence[tf.Tensor], matrices: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the network sees of the frames, and where the device warps, how."""
        if not self.device_warp:
            directed = any(wanted.directed for wanted in self.inputs.values())
            seen = [self._warped(image, matrices[place], directed) for place, image in enumerate(images)]
            return side_by_side(dict(zip(self.frames, seen)), self.inputs)
        (image,), matrix = images, matrices[0]
        fit = tf.stack([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]])
        image, fit = tf.cond(
            tf.reduce_any(tf.shape(image)[:2] > self.largest_side),
            lambda: (self._warped(image, matrix), tf.constant([1.0, 1.0, 0.0, 0.0])),
            lambda: (image, fit),
        )
        image.set_shape((None, None, 3))
        return {"image": image, "fit": fit}

    def _sampler(self, classes: Sequence[str], augment: Augmentation | None) -> Sampler:
        own = self.size, self.window, self.max_objects, self.fields, self.properties
        sampler = Sampler(*own, tuple(classes), augment, self.frames, self.clip)
        names = {field.name for field in sampler.read}
        used = [one for one in self.properties if names & {field.name for field in one.fields}]
        return dataclasses.replace(sampler, properties=tuple(used))

    def _fields(self, sampler: Sampler) -> tuple[Field, ...]:
        """Of the arrays that `_draw` returns behind those of `_TYPES`."""
        drawn = (*self.clip.drawn, _VALID) if self.clip is not None and self.clip.drawn else ()
        return (*sampler.padded, *drawn)

    def _draw(self, sampler: Sampler, keys: Sequence[str]) -> Callable[..., Any]:
        """A function of epoch, place in it, which frames are the present one, their shapes and their lists."""
        count = len(sampler.frames) if sampler.clip is not None else 1

        def draw(epoch: int, place: int, same: np.ndarray, *values: np.ndarray) -> Any:
            random = None if sampler.augment is None else np.random.default_rng([self.seed, epoch, place])
            shapes, lists = values[:count], values[count:]
            stored = [(shape, dict(zip(keys, lists[len(keys) * number :]))) for number, shape in enumerate(shapes)]
            one = sampler.draw(random, stored, same)
            colors = one.color, one.vivid, one.distortion
            return one.matrices, *colors, one.jittered, one.zoom, one.valid, *one.rows, *one.drawn

        return draw

    def _warped(self, image: tf.Tensor, matrix: tf.Tensor, directed: bool = False) -> tf.Tensor:
        """The input [h, w, 3]: of the image's type, or float32 of images that are stretched."""
        if self.window == "stretched":
            return stretched_image(image, matrix, self.size, self.canvas, directed)
        return warped(image, matrix, self.size, self.fill, self.resample)

    def _batched(self, samples: tf.data.Dataset, batch: int) -> tf.data.Dataset:
        end_all_at_exit()
        batches = samples.padded_batch(batch) if self.device_warp else samples.batch(batch)
        return batches if self.share.alike else batches.map(self._trim, tf.data.AUTOTUNE, deterministic=True)

    def _trim(self, inputs: dict[str, tf.Tensor], rows: dict[str, tf.Tensor]) -> Any:
        """Cuts rows that no image of the batch needs: drawing an absent object costs as much as a present one."""
        if self.device_warp:
            images = inputs["image"]
            extra = -tf.shape(images)[1:3] % PADDING
            if tf.reduce_any(extra > 0):
                images = tf.pad(images, [[0, 0], [0, extra[0]], [0, extra[1]], [0, 0]])
            inputs = {**inputs, "image": images}
        present = [part["valid"] for part in (rows, inputs.get(ROWS)) if part is not None]
        fullest = tf.reduce_max([tf.reduce_max(tf.reduce_sum(tf.cast(one, tf.int32), axis=1)) for one in present])
        count = tf.constant(FEWEST_ROWS)
        while count < fullest:
            count *= 2
        kept = tf.minimum(count, self.max_objects)
        if ROWS in inputs:
            inputs = {**inputs, ROWS: {name: value[:, :kept] for name, value in inputs[ROWS].items()}}
        whole = [field.name for field in self.fields if field.level != "object"]
        return inputs, {name: value if name in whole else value[:, :kept] for name, value in rows.items()}
