"""AP of (subject, verb, object) as HICO-DET counts it, and of verbs as HOI-A does.

HICO-DET (Chao et al., 2018, section 5): a class is a verb with the class of its object. By default each class is
scored on all images; with known objects, only on those that hold a pair with such an object. Rare are classes of fewer
than ten pairs in the training set. HOI-A's classes are the verbs.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from centernet_tf.metrics.voc import area_below, curve, eleven_points
from centernet_tf.properties.interactions.told import NOTHING, Told, first_to_claim, fitting

RARE = 10  # pairs in the training set
PIXEL = 1.0  # HICO-DET's right and bottom are the last pixels of a box

Kind = tuple[int, int, int]  # class of the subject, verb, class of the object


@dataclasses.dataclass(frozen=True)
class KindScore:
    """What is said of one kind of pair, 0 to 1.

    Attributes:
        ap: Mean of the best precisions at eleven recalls, HICO-DET's; of a verb in HOI-A the area.
        area: Area below the precision-recall curve.
        recall: The largest.
        truth: Annotated pairs.
        found: Found pairs.
        hits: Right ones among them.
    """

    ap: float
    area: float
    recall: float
    truth: int
    found: int
    hits: int


def judge_triplets(found: Told, truth: Told) -> np.ndarray:
    """[P] bool, whether each found pair is right.

    Among all annotated pairs of its kind whose boxes both overlap, that with the largest smaller overlap is meant; if a
    surer pair was there before, this one is wrong.
    """
    fits, smaller = fitting(found, truth, PIXEL)
    if not fits.size:
        return np.zeros(len(fits), bool)
    best = np.where(fits, smaller, -1.0).argmax(axis=1)
    return first_to_claim(np.where(fits.any(axis=1), best, -1), fits.shape[1])


def judge_verbs(found: Told, truth: Told, any_class: bool = False) -> np.ndarray:
    """[P] bool, whether each found pair is right as HOI-A's script has it: it uses up every pair that it fits."""
    fits, _ = fitting(found, truth, pixel=0.0, any_class=any_class)
    hits = np.zeros(len(found.verbs), bool)
    if fits.size:
        hits[fits.argmax(axis=0)[fits.any(axis=0)]] = True
    return hits


def score_triplets(images: Sequence[tuple[Told, Told]], known_object: bool = False) -> dict[Kind, KindScore]:
    """Scores of each kind that is annotated.

    Args:
        images: What was found and what is annotated in each.
        known_object: Score each kind only on images that hold a pair with its object.
    """
    hits = [judge_triplets(found, truth) for found, truth in images]
    kinds = [found.kinds for found, _ in images]
    wanted = sorted({tuple(kind) for _, truth in images for kind in truth.kinds.tolist()})
    held = [set(truth.kinds[:, 2].tolist()) for _, truth in images]
    places = {kind: place for place, kind in enumerate(wanted)}
    columns = _columns([[places.get(tuple(kind), -1) for kind in one.tolist()] for one in kinds], hits, images)
    there = np.array([place for place, one in enumerate(images) for _ in range(len(one[0].verbs))], np.int64)
    counts = np.bincount(
        [places[tuple(kind)] for _, truth in images for kind in truth.kinds.tolist()], minlength=len(wanted)
    )
    scores = {}
    for place, kind in enumerate(wanted):
        own = columns.kind == place
        if known_object and kind[2] != NOTHING:
            own &= np.array([kind[2] in one for one in held], bool)[there]
        scores[kind] = _score(columns, own, int(counts[place]), eleven_points)
    return scores


def score_verbs(images: Sequence[tuple[Told, Told]], count: int, any_class: bool = False) -> list[KindScore]:
    """Scores of each verb as HOI-A's script has them; NaN of those that are not annotated.

    Args:
        images: What was found and what is annotated in each.
        count: Verbs there are.
        any_class: Take boxes of any class for the object, as PPDM's script for V-COCO does.
    """
    hits = [judge_verbs(found, truth, any_class) for found, truth in images]
    columns = _columns([found.verbs.tolist() for found, _ in images], hits, images)
    truth = np.bincount(np.concatenate([[], *(truth.verbs for _, truth in images)]).astype(int), minlength=count)
    return [_score(columns, columns.kind == verb, int(truth[verb]), area_below) for verb in range(count)]


@dataclasses.dataclass(frozen=True, eq=False)
class _Columns:
    """All found pairs: their kinds, scores and whether they are right, each [P], the surest first of each kind."""

    kind: np.ndarray
    scores: np.ndarray
    hits: np.ndarray


def _columns(
    kinds: Sequence[Sequence[int]], hits: Sequence[np.ndarray], images: Sequence[tuple[Told, Told]]
) -> _Columns:
    scores = np.concatenate([np.zeros(0), *(found.scores for found, _ in images)])
    return _Columns(
        np.concatenate([np.zeros(0, np.int64), *(np.array(one, np.int64) for one in kinds)]),
        scores,
        np.concatenate([np.zeros(0, bool), *hits]),
    )


def _score(columns: _Columns, own: np.ndarray, truth: int, ap: Callable[..., float]) -> KindScore:
    order = np.argsort(-columns.scores[own], kind="stable")
    hits = columns.hits[own][order]
    if not truth:
        return KindScore(*[float("nan")] * 3, 0, len(hits), 0)
    precision, recall = curve(hits, truth)
    most = float(recall.max(initial=0.0))
    return KindScore(ap(precision, recall), area_below(precision, recall), most, truth, len(hits), int(hits.sum()))
