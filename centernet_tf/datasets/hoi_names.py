"""What HICO-DET's files call by number: its verbs, and its objects by COCO's ids."""

import dataclasses
from collections.abc import Mapping, Sequence

from centernet_tf.datasets.coco_names import COCO_CLASSES, COCO_IDS
from centernet_tf.errors import UsageError

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


@dataclasses.dataclass(frozen=True)
class Names:
    """What the numbers of a file mean.

    Attributes:
        classes: Names of the classes by id, in the order of the class numbers.
        verbs: Names of the verbs by id, likewise.
    """

    classes: Mapping[int, str]
    verbs: Mapping[int, str]


def names_of(classes: Sequence[str] | None = None, verbs: Sequence[str] | None = None) -> Names:
    """Names of files that count from 1; HICO-DET's, whose objects have COCO's ids, where none are given.

    Raises:
        UsageError: A name is given twice.
    """
    for what, names in (("classes", classes), ("verbs", verbs)):
        if names is not None and len(set(names)) < len(names):
            twice = next(name for name in names if list(names).count(name) > 1)
            raise UsageError(f"--{what}: {twice!r:.60} is given twice; expected a name for each number from 1 on.")
    numbered = dict(zip(COCO_IDS, COCO_CLASSES)) if classes is None else dict(enumerate(classes, start=1))
    return Names(numbered, dict(enumerate(HICO_VERBS if verbs is None else verbs, start=1)))
