"""What becomes of an annotated image on its way into a record, worked out in threads of this process."""

import dataclasses
import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from centernet_tf.data.record import Record
from centernet_tf.data.serialize import serialize
from centernet_tf.datasets.encoded import to_encoded
from centernet_tf.datasets.items import Item, usable_objects
from centernet_tf.datasets.pairs import count_pairs
from centernet_tf.errors import DataError
from centernet_tf.host.reading import printable
from centernet_tf.properties.property import Fault, Property


@dataclass(frozen=True)
class Outcome:
    """What became of one image; `serialized` is None where `broken` says why."""

    item: Item
    serialized: bytes | None = None
    broken: Fault | None = None
    change: str | None = None
    faults: tuple[Fault, ...] = ()
    pairs: int = 0
    pair_faults: tuple[Fault, ...] = ()
    clipped: int = 0
    classes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


# Items, classes, properties and a folder for what is temporary, to outcomes in the order of the items.
Runner = Callable[[Iterable[Item], tuple[str, ...], tuple[Property, ...], Path], Iterator[Outcome]]


def in_threads(workers: int | None = None) -> Runner:
    """Converts images in so many threads, one for each core where none are told.

    Reading, decoding and hashing release Python's lock.
    """
    count = workers or os.cpu_count() or 1

    def run(
        items: Iterable[Item], classes: tuple[str, ...], properties: tuple[Property, ...], temporary: Path
    ) -> Iterator[Outcome]:
        with ThreadPoolExecutor(count) as pool:
            waiting: deque[Future] = deque()
            try:
                for item in in_order(items):
                    waiting.append(pool.submit(convert, item, classes, properties))
                    if len(waiting) > 2 * count:  # bounds how many images are in memory
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    return run


def in_order(items: Iterable[Item]) -> Iterator[Item]:
    """The same items; raises DataError where two share an id, or one comes before an earlier one by its key."""
    seen: dict[int, str] = {}
    last = None
    for item in items:
        if item.image_id in seen:
            raise DataError(
                f"{item.filename}: image id {item.image_id} is already that of {seen[item.image_id]}. "
                "Results are counted by image id; give each image its own."
            )
        if last is not None and item.key <= last:
            raise DataError(f"{item.filename}: key {item.key!r} after {last!r}; images must come in ascending order.")
        seen[item.image_id], last = item.filename, item.key
        yield item


def compact(outcome: Outcome) -> Outcome:
    """The same without what the report does not count: the image and all else that the record holds."""
    return dataclasses.replace(outcome, item=dataclasses.replace(outcome.item, source=b"", rows={}, counts={}))


def convert(item: Item, classes: tuple[str, ...], properties: tuple[Property, ...]) -> Outcome:
    """Reads and encodes the image, checks its boxes, and makes the record.

    Raises:
        DataError: The item contradicts itself, which no leaving out mends.
    """
    if item.broken:
        return Outcome(item, broken=item.broken, pairs=count_pairs(item.rows, properties))
    declared = (item.width, item.height) if item.width and item.height else None
    try:
        encoded = to_encoded(item.source, item.filename, declared)
    except DataError as error:
        fault = Fault("image skipped", str(error).removeprefix(f"{item.filename}: ").rstrip("."))
        return Outcome(item, broken=fault, pairs=count_pairs(item.rows, properties))
    objects = usable_objects(item, encoded.width, encoded.height, classes, properties)
    if objects.broken:
        return Outcome(item, broken=objects.broken, pairs=count_pairs(item.rows, properties))
    record = Record(
        image=encoded.data,
        format=encoded.format,
        width=encoded.width,
        height=encoded.height,
        image_id=int(item.image_id),
        filename=item.filename,
        boxes=objects.boxes,
        full_boxes=objects.full_boxes,
        classes=objects.classes,
        crowd=objects.crowd,
        difficult=objects.difficult,
        area=objects.area,
        ignored=objects.ignored,
        names=objects.names,
        rows=objects.rows,
        video=printable(item.video),
        frame=item.frame,
        time=item.time,
    )
    return Outcome(
        item,
        serialized=serialize(record, classes, properties),
        change=encoded.change,
        faults=objects.faults,
        pairs=objects.pairs,
        pair_faults=objects.pair_faults,
        clipped=objects.clipped,
        classes=tuple(classes[number] for number in objects.classes[~objects.ignored]),
        ignored=tuple(itertools.compress(record.names or ("",) * len(record.ignored), record.ignored)),
        counts={
            one.name: {**item.counts.get(one.name, {}), **one.count(record.rows, record.size)} for one in properties
        },
    )
