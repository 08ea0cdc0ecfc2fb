"""The walk over the records: every shard, every image, every box, and on past whatever is broken."""

import hashlib
import itertools
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.data.checks import wrong_names
from centernet_tf.data.choices import Seen, add_sides, input_size
from centernet_tf.data.dataset import Dataset, open_dataset, sha256_of
from centernet_tf.data.examine import Stored, decoding_fault, read_shard
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry.boxes import areas
from centernet_tf.host.bucket import Bucket, as_place
from centernet_tf.inspect.boxes import count_shared, count_twins, faults, to_cells
from centernet_tf.inspect.findings import CHECKS
from centernet_tf.inspect.report import InspectionReport, Sample, Spread, area_names
from centernet_tf.inspect.videos import CHECKS as VIDEO_CHECKS
from centernet_tf.inspect.videos import VideoSurvey
from centernet_tf.media.images import Header, inspect_header
from centernet_tf.properties.fields import FULL_BOXES, SHARED
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.property import Rows, Size
from centernet_tf.properties.rows import select

STRIDE = 32  # pixels that sides of inputs are multiples of
SMALL = 26  # pixels of the input: blood platelets of 25 were found with AP50 0.60, of 30 with 0.85
BEFORE = 30  # frames whose objects are kept for samples of videos
BATCH = 64  # images decoded side by side; bounds what is held in memory


def inspect_records(
    path: str | Path | Bucket,
    *,
    max_objects: int = 100,
    size: tuple[int, int] = (512, 512),
    samples: int = 16,
    decode: bool = True,
    seen: dict[bytes, str] | None = None,
    progress: Callable[[Path | Bucket, int, int], None] | None = None,
) -> InspectionReport:
    """Looks at every record of one directory.

    Args:
        path: Directory of a split, with its dataset.yaml, or the address of one in a bucket.
        max_objects: The most objects of an image that training will keep.
        size: Height and width of the network input, pixels, multiples of 32.
        samples: Images kept for the contact sheet, drawn at random but the same each time.
        decode: Decode every image to its last pixel; without, only headers are read, which is much faster.
        seen: Images of the sets inspected before, by digest; this set's are added. Pass the same dictionary for
            train and validation to find images that are in both.
        progress: Called with the path, images done and images expected.

    Raises:
        UsageError: No records at `path`, or a setting out of range.
        DataError: dataset.yaml cannot be understood.
    """
    if max_objects < 1 or min(size) < 32 or any(side % 32 for side in size):
        raise UsageError(
            f"inspect: max_objects {max_objects} and size {size[0]}x{size[1]}; expected at least 1 object, and height "
            "and width that are multiples of 32."
        )
    dataset = open_dataset(path, check=False)
    survey = _Survey(dataset, max_objects, size, samples, {} if seen is None else seen)
    with ThreadPoolExecutor() as pool:
        for batch in _batches(survey.records(), BATCH):
            for stored, header, fault in pool.map(_look, batch, itertools.repeat(decode)):
                survey.add(stored, header, fault)
            if progress:
                progress(as_place(path), survey.images, dataset.images)
    return survey.report()


def inspect_splits(paths: Sequence[str | Path | Bucket], **settings: Any) -> list[InspectionReport]:
    """Looks at several directories that belong together, such as training and validation.

    Besides what `inspect_records` finds in each: images that are in two of them, classes and properties that differ.

    Args:
        paths: Directories of records.
        settings: As `inspect_records` takes them.

    Returns:
        One report for each path.
    """
    seen: dict[bytes, str] = {}
    reports = [inspect_records(path, seen=seen, **settings) for path in paths]
    for report in reports[1:]:
        notebook = Notebook(CHECKS)
        both = f"{report.path} and {reports[0].path}"
        notebook.add("other_classes", both, report.classes != reports[0].classes)
        theirs = {one.name: one for one in reports[0].declared}
        for one in report.declared:
            difference = one.difference(theirs[one.name]) if one.name in theirs else ""
            notebook.add("other_property", f"{both}: {one.name}: {difference}", bool(difference))
        report.findings[:0] = notebook.findings()
    return reports


def _look(stored: Stored, decode: bool) -> tuple[Stored, Header | None, str]:
    """Header of the image and what is wrong with its bytes, if anything."""
    try:
        header = inspect_header(stored.image, stored.name)
    except DataError as error:
        return stored, None, str(error)
    fault = decoding_fault(stored.image) if decode else ""
    return stored, header, f"{stored.name}: the image cannot be decoded ({fault})" if fault else ""


def _batches(items: Iterable[Stored], count: int) -> Iterator[list[Stored]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, count)):
        yield batch


class _Survey:
    """Adds up one image at a time."""

    def __init__(
        self, dataset: Dataset, max_objects: int, size: tuple[int, int], samples: int, seen: dict[bytes, str]
    ) -> None:
        self.dataset, self.max_objects, self.size, self.seen = dataset, max_objects, size, seen
        properties = dataset.properties
        self.notebook = Notebook(
            {**CHECKS, **VIDEO_CHECKS, **{code: check for one in properties for code, check in one.checks.items()}}
        )
        self.surveys = {one.name: one.survey(self.notebook) for one in properties}
        self.videos = VideoSurvey(self.notebook)
        self.images = self.objects = self.crowd = self.difficult = 0
        self.sound_objects = self.lost_peaks = self.shared_cells = 0
        self.per_class: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        self.image_sizes: Counter[Size] = Counter()
        self.sides: dict[str, list[np.ndarray]] = {name: [] for name in dataset.classes}
        self.areas: Counter[str] = Counter(small=0, medium=0, large=0)
        self.shorter_sides: list[np.ndarray] = []
        self.per_image: list[int] = []
        self.samples: list[Sample] = []
        self._samples = samples
        self._before: deque[Rows] = deque(maxlen=BEFORE)
        self._video = ""  # of these
        self._random = np.random.default_rng(0)
        self._own: dict[bytes, str] = {}
        self._ids: dict[str, str] = {}

    def records(self) -> Iterator[Stored]:
        """All records that can be read; shards that break off are noted and left."""
        for shard in self.dataset.files:
            if not shard.path.is_file():
                self.notebook.add("truncated_shard", f"{shard.path.name}: missing")
                continue
            if sha256_of(shard.path) != shard.sha256:
                self.notebook.add("checksum", shard.path.name)
            try:
                yield from read_shard(shard.path, self.dataset.classes)
            except DataError as error:
                self.notebook.add("truncated_shard", str(error).replace(str(shard.path), str(shard.place)))

    def add(self, stored: Stored, header: Header | None, image_fault: str) -> None:
        """Takes in one record, its image's header, and what is wrong with its image."""
        self.images += 1
        if stored.fault:
            self.notebook.add("bad_example", f"{stored.where}: {stored.fault}")
            return
        self._add_identity(stored)
        self.notebook.add("corrupt_image", f"{stored.where}: {image_fault}", bool(image_fault))
        size = stored.size or (0, 0)
        if header is not None:
            seen = header.width, header.height
            size = stored.size or seen
            text = f"{stored.name}: {seen[0]}x{seen[1]} pixels, recorded as {size[0]}x{size[1]}"
            self.notebook.add("wrong_size", text, size != seen)
            self.notebook.add("turned_image", stored.name, header.orientation != 1)
            kind = f"{stored.name}: {header.mode}, {header.bits} bits"
            self.notebook.add("odd_image", kind, header.orientation == 1 and not header.plain)
        self.image_sizes[size] += 1
        self.videos.add(stored.name, stored.key, size)
        rows, broken = stored.rows(size, self.dataset.classes, self.dataset.properties)
        sound = self._add_boxes(stored.name, rows, size)
        for one in self.dataset.properties:
            if one.name in broken:
                code, text = broken[one.name]
                self.notebook.add(code, f"{stored.name}: {text}")
            else:
                self.surveys[one.name].add(stored.name, rows, size, stored.key)
        if not image_fault:
            self._add_sample(stored, rows, size, sound, broken)

    def report(self) -> InspectionReport:
        """Closes the books."""
        dataset = self.dataset
        missing = dataset.images - self.images
        self.notebook.add("missing_images", f"{dataset.images} expected, {self.images} read", max(missing, 0))
        text = f"{dataset.images} expected, {self.images} read"
        self.notebook.add("surplus_images", text, max(-missing, 0))
        for name in dataset.classes:
            self.notebook.add("unused_class", name, not self.per_class[name])
        for survey in (self.videos, *self.surveys.values()):
            survey.close()
        named = {name: self.per_class[name] for name in dataset.classes}
        return InspectionReport(
            path=dataset.directory,
            name=dataset.name,
            split=dataset.split,
            classes=dataset.classes,
            size=self.size,
            images=self.images,
            objects=self.objects,
            crowd=self.crowd,
            difficult=self.difficult,
            ignored=dict(self.ignored.most_common()),
            per_class={**named, **{name: count for name, count in self.per_class.items() if name not in named}},
            image_sizes={f"{width}x{height}": count for (width, height), count in self.image_sizes.most_common()},
            advice=self._advice(),
            areas=dict(self.areas),
            box_cells=Spread.of(np.concatenate(self.shorter_sides) if self.shorter_sides else ()),
            objects_per_image=Spread.of(self.per_image),
            lost_peak_fraction=round(self.lost_peaks / max(self.sound_objects, 1), 5),
            shared_cell_fraction=round(self.shared_cells / max(self.sound_objects, 1), 5),
            properties={name: survey.as_dict() for name, survey in self.surveys.items()},
            findings=self.notebook.findings(),
            videos=self.videos.as_dict(),
            declared=dataset.properties,
            facts={what: text for one in (self.videos, *self.surveys.values()) for what, text in one.facts().items()},
            tables=[table for survey in self.surveys.values() for table in survey.tables()],
            samples=self.samples,
        )

    def _advice(self) -> str:
        """At which size to train, and why; notes a class that is small at the size that was asked for."""
        sizes = Counter({size: count for size, count in self.image_sizes.items() if all(size)})
        seen = Seen(sizes, {name: np.concatenate([*one, np.empty(0)]) for name, one in self.sides.items()})
        if not sizes or seen.smallest is None:
            return ""
        (height, width), why = input_size(seen, STRIDE)
        name, fraction = seen.smallest
        pixels = fraction * self.size[1]
        text = f"{name}: half are narrower than {pixels:.1f} pixels at {self.size[0]}x{self.size[1]}"
        self.notebook.add("small_class", text, pixels < SMALL and self.size[1] < width)
        return f"{height}x{width}: {why}"

    def _add_identity(self, stored: Stored) -> None:
        """Ids and bytes that came before."""
        if stored.image_id:
            if stored.image_id in self._ids:
                text = f"id {stored.image_id}: {self._ids[stored.image_id]} and {stored.name}"
                self.notebook.add("duplicate_id", text)
            self._ids.setdefault(stored.image_id, stored.name)
        digest = hashlib.sha256(stored.image).digest()
        if digest in self._own:
            self.notebook.add("twin_image", f"{self._own[digest]} and {stored.name}")
        elif digest in self.seen:
            self.notebook.add("shared_image", f"{stored.name} is {self.seen[digest]}")
        self._own.setdefault(digest, stored.name)
        self.seen.setdefault(digest, f"{self.dataset.split}/{stored.name}")

    def _add_boxes(self, name: str, rows: Rows, size: Size) -> np.ndarray:
        """Takes in the boxes of an image; returns [N] bool, those that can be trained on."""
        classes, labels, boxes, ignored = self.dataset.classes, rows["classes"], rows["boxes"], rows["ignored"]
        anyones = ignored & (labels < 0)  # ignored for all classes
        known = ((labels >= 0) & (labels < len(classes))) | anyones
        self.objects += len(labels)
        self.crowd += int(rows["crowd"].sum())
        self.difficult += int(rows["difficult"].sum())
        self.ignored.update(given or "unnamed" for given in rows["names"][ignored])
        self.per_image.append(len(labels))
        counted = zip(labels[~ignored], known[~ignored])
        self.per_class.update(classes[label] if ok else f"label {int(label) + 1}" for label, ok in counted)
        strange = sorted({int(label) + 1 for label in labels[~known]})
        self.notebook.add("unknown_label", f"{name}: labels {strange}", np.sum(~known))
        renamed = wrong_names(rows, classes)
        example = f"{name}: {rows['names'][renamed[0]]} labelled {classes[labels[renamed[0]]]}" if renamed else ""
        self.notebook.add("other_name", example, len(renamed))
        self.notebook.add("no_objects", name, not len(labels))
        sound = known.copy()
        for code, mask in faults(boxes, *size).items():
            if mask.any():
                example = f"{name}: {np.round(boxes[mask][0], 1).tolist()} in {size[0]}x{size[1]}"
                self.notebook.add(code, example, mask.sum())
            if code != "edge_box":
                sound &= ~mask
        self.areas.update(area_names(areas(boxes[sound])))
        trained = sound & ~rows["crowd"] & ~ignored
        add_sides(self.sides, boxes[trained], labels[trained], classes, size)
        self._add_cells(name, rows["full_boxes"][trained], labels[trained], size)
        return sound

    def _add_cells(self, name: str, boxes: np.ndarray, labels: np.ndarray, size: Size) -> None:
        """What the output grid makes of boxes [M, 4] and classes [M] of sound objects."""
        self.sound_objects += len(boxes)
        self.notebook.add("twin_box", name, count_twins(boxes, labels))
        over = len(boxes) - self.max_objects
        self.notebook.add("too_many", f"{name}: {len(boxes)} objects, {self.max_objects} kept", max(over, 0))
        cells = to_cells(boxes, *size, self.size)
        sides = (cells[:, 2:] - cells[:, :2]).min(axis=-1)
        inside = sides > 0
        self.notebook.add("cut_box", name, np.sum(~inside))
        self.notebook.add("tiny_box", name, np.sum(inside & (sides < 1)))
        self.shorter_sides.append(sides[inside])
        lost, shared = count_shared(cells[inside], labels[inside])
        self.lost_peaks += lost
        self.shared_cells += shared
        self.notebook.add("lost_peak", name, lost)
        self.notebook.add("shared_cell", name, shared)

    def _add_sample(self, stored: Stored, rows: Rows, size: Size, sound: np.ndarray, broken: Container[str]) -> None:
        """Keeps a random choice of all images so far, each as likely as the other, with the objects that are sound."""
        place = len(self.samples)
        if place >= self._samples:
            place = int(self._random.integers(self.images))
        wanted, video = place < self._samples, stored.key.video
        if not wanted and not (video and self._samples):
            return
        if video != self._video:
            self._video = video
            self._before.clear()
        fields = [*SHARED, FULL_BOXES]
        for one in self.dataset.properties:
            if one.name not in broken and one.image_fault(rows) is None:
                fields += one.fields
                sound = sound & np.array([fault is None for fault in one.faults(rows, size)], bool)
        chosen = np.flatnonzero(sound)
        kept = select(rows, fields, chosen, len(sound))
        before = tuple(self._before)
        if video:
            self._before.append(kept)
        if not wanted:
            return
        classes = self.dataset.classes
        names = tuple(
            (given or "ignored") if ignored else classes[label]
            for given, ignored, label in zip(rows["names"][chosen], kept["ignored"], kept["classes"])
        )
        self.samples[place : place + 1] = [Sample(stored.name, stored.image, kept, names, before)]
