"""What is held of a video while its tubelets are linked: tubes that can go on, and frames that are not told yet."""

import dataclasses

import numpy as np

from centernet_tf.properties.property import Rows
from centernet_tf.properties.tracks.tubes import SCORE

UNDECIDED = 0  # the identity of tubes that may yet prove too short


@dataclasses.dataclass(frozen=True, eq=False)
class Tubes:
    """Tubes that can still go on, or of which not all frames are told, in the order of their births.

    Columns of what is ahead begin with the frame at which the next window does.

    Attributes:
        numbers: [M] int64, ascending.
        ids: [M] int64, from 1; 0 while it is not sure that the tube will be long enough.
        classes: [M] int64.
        first: [M] int64, first frame of the first tubelet.
        last: [M] int64, first frame of the last one.
        count: [M] int64, tubelets.
        total: [M] float64, sum of their scores.
        open: [M] bool, whether another can follow.
        ahead: [M, K, 4] float32, boxes of the last tubelet that are ahead; then any.
        end: [M, 4] float32, its last box.
        sums: [M, K, 5] float32, boxes and scores of all tubelets, added up.
        cover: [M, K] int64, of how many.
    """

    numbers: np.ndarray
    ids: np.ndarray
    classes: np.ndarray
    first: np.ndarray
    last: np.ndarray
    count: np.ndarray
    total: np.ndarray
    open: np.ndarray
    ahead: np.ndarray
    end: np.ndarray
    sums: np.ndarray
    cover: np.ndarray

    @classmethod
    def empty(cls, frames: int) -> "Tubes":
        """None, of windows of so many frames."""
        whole, boxes = np.zeros(0, np.int64), np.zeros((0, frames, 5), np.float32)
        parts = {"total": np.zeros(0), "open": np.zeros(0, bool), "ahead": boxes[..., :4], "end": boxes[:, 0, :4]}
        parts |= {"sums": boxes, "cover": np.zeros((0, frames), np.int64)}
        return cls(**{field.name: parts.get(field.name, whole) for field in dataclasses.fields(cls)})

    def rows(self, index: np.ndarray) -> "Tubes":
        """Some of them."""
        return Tubes(**{name: values[index] for name, values in vars(self).items()})

    def joined(self, others: "Tubes") -> "Tubes":
        """These and others behind them."""
        pairs = {name: (values, getattr(others, name)) for name, values in vars(self).items()}
        return Tubes(**{name: np.concatenate(pair) for name, pair in pairs.items()})

    @property
    def scores(self) -> np.ndarray:
        """[M] float64, the mean of the tubelets."""
        return self.total / np.maximum(self.count, 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Memory:
    """What is known of a video that is not over.

    Attributes:
        tubes: That can go on or are not told.
        number: [H] int64, tubes of which frames are held.
        frame: [H] int64, those frames.
        held: [H, 5] float32, the tube's box and score there.
        waiting: Windows of which not all frames are seen.
        seen: Frames.
        told: Frames.
        born: Tubes.
        named: Tubes that have identities.
    """

    tubes: Tubes
    number: np.ndarray
    frame: np.ndarray
    held: np.ndarray
    waiting: tuple[Rows, ...] = ()
    seen: int = 0
    told: int = 0
    born: int = 0
    named: int = 0

    @classmethod
    def empty(cls, frames: int) -> "Memory":
        """Of a video that begins, and windows of so many frames."""
        whole = np.zeros(0, np.int64)
        return cls(Tubes.empty(frames), whole, whole, np.zeros((0, 5), np.float32))


def settled(start: int, memory: Memory) -> Memory:
    """Holds the boxes of a frame that no later window shows, and moves what is ahead by a frame."""
    tubes = memory.tubes
    rows = np.flatnonzero(tubes.cover[:, 0])
    means = tubes.sums[rows, 0] / tubes.cover[rows, 0, None].astype(np.float32)
    moved = {}
    for name in ("ahead", "sums", "cover"):
        values = getattr(tubes, name)
        moved[name] = np.zeros_like(values)
        moved[name][:, :-1] = values[:, 1:]
    return dataclasses.replace(
        memory,
        tubes=dataclasses.replace(tubes, **moved),
        number=np.concatenate([memory.number, tubes.numbers[rows]]),
        frame=np.concatenate([memory.frame, np.full(len(rows), start)]),
        held=np.concatenate([memory.held, means]),
    )


def tell(last: int, memory: Memory) -> tuple[list[Rows], Memory]:
    """The frames up to one, and the memory without them and without tubes that are over."""
    tubes = memory.tubes
    owner = np.searchsorted(tubes.numbers, memory.number)
    known = np.append(tubes.numbers, -1)[owner] == memory.number  # others were too short
    owner, frame, held = owner[known], memory.frame[known], memory.held[known]
    told = []
    for now in range(memory.told + 1, last + 1):
        rows = np.flatnonzero(frame == now)
        rows = rows[np.argsort(tubes.ids[owner[rows]])]
        whose = owner[rows]
        one = {"boxes": held[rows, :4], "scores": held[rows, 4], "classes": tubes.classes[whose]}
        told.append({**one, "track_ids": tubes.ids[whose], SCORE: tubes.scores[whose].astype(np.float32)})
    last = max(last, memory.told)
    later = frame > last
    needed = tubes.open.copy()
    needed[owner[later]] = True
    number = tubes.numbers[owner[later]]
    left = {"tubes": tubes.rows(needed), "number": number, "frame": frame[later], "held": held[later]}
    return told, dataclasses.replace(memory, **left, told=last)
