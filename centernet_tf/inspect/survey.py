"""The walk over the records: every shard, every image, every box, and on past whatever is broken."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.data.examine import Stored, decoding_fault, read_shard
from centernet_tf.data.records import Dataset, open_dataset, sha256_of
from centernet_tf.errors import DataError, UsageError
from centernet_tf.geometry.boxes import areas
from centernet_tf.images import Header, inspect_header
from centernet_tf.inspect.boxes import count_shared, count_twins, faults, to_cells
from centernet_tf.inspect.findings import Notebook
from centernet_tf.inspect.joints import JointSurvey, skeleton_difference
from centernet_tf.inspect.report import InspectionReport, Sample, Spread, area_names
from centernet_tf.inspect.solids import SolidSurvey

BATCH = 64  # images decoded side by side; bounds what is held in memory


def inspect_records(
    path: str | Path,
    *,
    max_objects: int = 100,
    size: tuple[int, int] = (512, 512),
    samples: int = 16,
    decode: bool = True,
    seen: dict[bytes, str] | None = None,
    progress: Callable[[Path, int, int], None] | None = None,
) -> InspectionReport:
    """Looks at every record of one directory.

    Args:
        path: Directory of a split, with its dataset.yaml.
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
                progress(Path(path), survey.images, dataset.images)
    return survey.report()


def inspect_splits(paths: Sequence[str | Path], **settings: Any) -> list[InspectionReport]:
    """Looks at several directories that belong together, such as training and validation.

    Beside what `inspect_records` finds in each, images that are in two of them, and classes and skeletons that differ.

    Args:
        paths: Directories of records.
        settings: As `inspect_records` takes them.

    Returns:
        One report for each path.
    """
    seen: dict[bytes, str] = {}
    reports = [inspect_records(path, seen=seen, **settings) for path in paths]
    for report in reports[1:]:
        notebook = Notebook()
        both = f"{report.path} and {reports[0].path}"
        notebook.add("other_classes", both, report.classes != reports[0].classes)
        difference = skeleton_difference(report.skeleton, reports[0].skeleton)
        notebook.add("other_skeleton", f"{both}: {difference}", bool(difference))
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
        self.notebook = Notebook()
        self.joints = JointSurvey(dataset.skeleton, self.notebook)
        self.solids = SolidSurvey(dataset.solid, self.notebook)
        self.images = self.objects = self.crowd = self.difficult = 0
        self.sound_objects = self.lost_peaks = self.shared_cells = 0
        self.per_class: Counter[str] = Counter()
        self.image_sizes: Counter[str] = Counter()
        self.areas: Counter[str] = Counter(small=0, medium=0, large=0)
        self.shorter_sides: list[np.ndarray] = []
        self.per_image: list[int] = []
        self.samples: list[Sample] = []
        self._samples = samples
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
                self.notebook.add("truncated_shard", str(error))

    def add(self, stored: Stored, header: Header | None, image_fault: str) -> None:
        """Takes in one record, its image's header, and what is wrong with its image."""
        self.images += 1
        if stored.fault:
            self.notebook.add("bad_example", f"{stored.where}: {stored.fault}")
            return
        self._add_identity(stored)
        width, height = stored.width, stored.height
        self.notebook.add("corrupt_image", f"{stored.where}: {image_fault}", bool(image_fault))
        if header is not None:
            width, height = width or header.width, height or header.height
            if (width, height) != (header.width, header.height):
                text = f"{stored.name}: {header.width}x{header.height} pixels, recorded as {width}x{height}"
                self.notebook.add("wrong_size", text)
            self.notebook.add("turned_image", stored.name, header.orientation != 1)
            kind = f"{stored.name}: {header.mode}, {header.bits} bits"
            self.notebook.add("odd_image", kind, header.orientation == 1 and not header.plain)
        self.image_sizes[f"{width}x{height}"] += 1
        boxes = stored.boxes * [width, height, width, height]
        sound = self._add_boxes(stored, boxes, width, height)
        joints = self.joints.add(stored.name, stored.joints, len(boxes), width, height)
        self.solids.add(stored.name, stored.camera, stored.solids, boxes, (width, height))
        self.solids.add_neutral(stored.neutral, stored.names)
        if not image_fault:
            self._add_sample(stored, boxes, sound, joints)

    def report(self) -> InspectionReport:
        """Closes the books."""
        dataset = self.dataset
        missing = dataset.images - self.images
        self.notebook.add("missing_images", f"{dataset.images} promised, {self.images} read", max(missing, 0))
        for name in dataset.classes:
            self.notebook.add("unused_class", name, not self.per_class[name])
        self.joints.close()
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
            neutral=dict(self.solids.neutral.most_common()),
            depths=Spread.of(np.concatenate(self.solids.depths)) if self.solids.depths else None,
            skeleton=dataset.skeleton,
            joints={name: dict(counts) for name, counts in self.joints.counts.items()},
            per_class={**named, **{name: count for name, count in self.per_class.items() if name not in named}},
            image_sizes=dict(self.image_sizes.most_common()),
            areas=dict(self.areas),
            box_cells=Spread.of(np.concatenate(self.shorter_sides) if self.shorter_sides else ()),
            objects_per_image=Spread.of(self.per_image),
            lost_peak_share=round(self.lost_peaks / max(self.sound_objects, 1), 5),
            shared_cell_share=round(self.shared_cells / max(self.sound_objects, 1), 5),
            findings=self.notebook.findings(),
            samples=self.samples,
        )

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

    def _add_boxes(self, stored: Stored, boxes: np.ndarray, width: int, height: int) -> np.ndarray:
        """Takes in the boxes [N, 4] in pixels; returns [N] bool, those that can be trained on."""
        classes, labels = self.dataset.classes, stored.labels
        anyones = stored.neutral & (labels < 0)  # neutral for all classes
        known = ((labels >= 0) & (labels < len(classes))) | anyones
        self.objects += len(labels)
        self.crowd += int(stored.crowd.sum())
        self.difficult += int(stored.difficult.sum())
        self.per_image.append(len(labels))
        counted = ~stored.neutral
        names = (classes[label] if ok else f"label {label + 1}" for label, ok in zip(labels[counted], known[counted]))
        self.per_class.update(names)
        strange = sorted({int(label) + 1 for label in labels[~known]})
        self.notebook.add("unknown_label", f"{stored.name}: labels {strange}", np.sum(~known))
        self.notebook.add("no_objects", stored.name, not len(labels))
        sound = known.copy()
        for code, mask in faults(boxes, width, height).items():
            if mask.any():
                example = f"{stored.name}: {np.round(boxes[mask][0], 1).tolist()} in {width}x{height}"
                self.notebook.add(code, example, mask.sum())
            if code != "edge_box":
                sound &= ~mask
        self.areas.update(area_names(areas(boxes[sound])))
        self._add_cells(stored, boxes, sound & ~stored.crowd & ~stored.neutral, width, height)
        return sound

    def _add_cells(self, stored: Stored, boxes: np.ndarray, kept: np.ndarray, width: int, height: int) -> None:
        """What the output grid makes of the boxes that are kept."""
        boxes, labels, name = boxes[kept], stored.labels[kept], stored.name
        self.sound_objects += len(boxes)
        self.notebook.add("twin_box", name, count_twins(boxes, labels))
        over = len(boxes) - self.max_objects
        self.notebook.add("too_many", f"{name}: {len(boxes)} objects, {self.max_objects} kept", max(over, 0))
        cells = to_cells(boxes, width, height, self.size)
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

    def _add_sample(self, stored: Stored, boxes: np.ndarray, sound: np.ndarray, joints: np.ndarray) -> None:
        """Keeps a random choice of all images so far, each as likely as the other."""
        place = len(self.samples)
        if place >= self._samples:
            place = int(self._random.integers(self.images))
            if place >= self._samples:
                return
        labels, neutral = stored.labels[sound], stored.neutral[sound]
        given = stored.names if len(stored.names) == len(stored.labels) else ("",) * len(stored.labels)
        own = itertools.compress(given, sound)
        classes = self.dataset.classes
        names = tuple((name or "neutral") if aside else classes[one] for name, aside, one in zip(own, neutral, labels))
        solids = None if stored.solids is None or not self.dataset.solid else stored.solids[sound]
        sample = Sample(
            stored.name, stored.image, boxes[sound], labels, names, joints[sound], neutral, solids, stored.camera
        )
        self.samples[place : place + 1] = [sample]
