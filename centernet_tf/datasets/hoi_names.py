"""What the files of HICO-DET and HOI-A call by number: their verbs, and their objects."""

import dataclasses
from collections.abc import Mapping, Sequence

from centernet_tf.datasets.coco_names import COCO_CLASSES, COCO_IDS
from centernet_tf.errors import UsageError, closest

_VERBS = """
    adjust assemble block blow board break brush_with buy carry catch chase check clean control cook cut cut_with
    direct drag dribble drink_with drive dry eat eat_at exit feed fill flip flush fly greet grind groom herd hit hold
    hop_on hose hug hunt inspect install jump kick kiss lasso launch lick lie_on lift light load lose make milk move
    no_interaction open operate pack paint park pay peel pet pick pick_up point pour pull push race read release repair
    ride row run sail scratch serve set shear sign sip sit_at sit_on slide smell spin squeeze stab stand_on stand_under
    stick stir stop_at straddle swing tag talk_on teach text_on throw tie toast train turn type_on walk wash watch wave
    wear wield zip
    """
HICO_VERBS = tuple(_VERBS.split())
# HOI-A counts both from 1, as its official scripts name them.
HOIA_VERBS = ("smoke", "call", "play_phone", "eat", "drink", "ride", "hold", "kick", "read", "play_computer")
_HOIA_OBJECTS = ("phone", "cigarette", "drink", "food", "bike", "motorbike", "horse", "ball", "computer", "document")
HOIA_CLASSES = ("person", *_HOIA_OBJECTS)


@dataclasses.dataclass(frozen=True)
class Names:
    """What the numbers of a file mean.

    Attributes:
        classes: Names of the classes by id, in the order of the class numbers.
        verbs: Names of the verbs by id, likewise.
    """

    classes: Mapping[int, str]
    verbs: Mapping[int, str]


# By the name of a data set: its classes, COCO's by their ids where None, and its verbs.
KNOWN = {"hico": (None, HICO_VERBS), "hoia": (HOIA_CLASSES, HOIA_VERBS)}


def names_of(classes: Sequence[str] | None = None, verbs: Sequence[str] | None = None, known: str = "hico") -> Names:
    """Names of files that count from 1, and those of a data set that is known where none are given.

    Args:
        classes: Of the objects.
        verbs: Likewise.
        known: A key of `KNOWN`. Objects of "hico" have COCO's ids.

    Raises:
        UsageError: A name is given twice, or the data set is unknown.
    """
    for what, names in (("classes", classes), ("verbs", verbs)):
        if names is not None and len(set(names)) < len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise UsageError(f"--{what}: {twice!r:.60} is given twice; expected a name for each number from 1 on.")
    if known not in KNOWN:
        raise UsageError(f"--names {known}: unknown.{closest(known, KNOWN)} Known: {', '.join(KNOWN)}.")
    its_classes, its_verbs = KNOWN[known]
    classes, verbs = its_classes if classes is None else classes, its_verbs if verbs is None else verbs
    numbered = dict(zip(COCO_IDS, COCO_CLASSES)) if classes is None else dict(enumerate(classes, start=1))
    return Names(numbered, dict(enumerate(verbs, start=1)))
