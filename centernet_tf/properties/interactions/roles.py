"""AP_agent and AP_role of V-COCO (Gupta and Malik, 2015), as its official script `vsrl_eval.py` counts them.

A found person is compared with the annotated person that overlaps most, however little; who was not looked at is left
out. What the person does must be right, and for a role also its object. A person counts once for each action or role.
Where an annotated person does it without such an object, scenario 1 wants that none is found, scenario 2 takes any.
Recall is that of all who do it, with or without an object.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.metrics.voc import area_below, curve
from centernet_tf.properties.interactions.told import OVERLAP, Told, first_to_claim

SCENARIOS = (1, 2)


@dataclasses.dataclass(frozen=True, eq=False)
class FoundPersons:
    """Who was found in an image.

    Attributes:
        boxes: [D, 4] left, top, right, bottom in pixels; width is right - left.
        classes: [D].
        agents: [D, A] score of each action; NaN where nothing was said.
        roles: [D, V] score of each verb with its object; NaN likewise.
        objects: [D, V, 4] boxes of the objects; NaN or zeros for none.
    """

    boxes: np.ndarray
    classes: np.ndarray
    agents: np.ndarray
    roles: np.ndarray
    objects: np.ndarray

    @classmethod
    def of(cls, told: Told, actions: Sequence[int], verbs: int) -> "FoundPersons":
        """From pairs: the surest of each subject and verb counts, and of each action the surest of its verbs.

        Args:
            told: What was found.
            actions: Action of each verb.
            verbs: How many verbs there are.
        """
        subjects, places = np.unique(told.pairs[:, 0], return_inverse=True)
        agents = np.full((len(subjects), max(actions, default=-1) + 1), np.nan)
        roles, objects = np.full((len(subjects), verbs), np.nan), np.full((len(subjects), verbs, 4), np.nan)
        for place, pair, verb, score in zip(places.reshape(-1), told.pairs, told.verbs, told.scores):
            agents[place, actions[verb]] = np.nanmax([agents[place, actions[verb]], score])
            if np.isnan(roles[place, verb]):  # the surest comes first
                roles[place, verb] = score
                objects[place, verb] = told.boxes[pair[1]] if pair[1] >= 0 else np.nan
        return cls(told.boxes[subjects], told.classes[subjects], agents, roles, objects)


@dataclasses.dataclass(frozen=True, eq=False)
class TruePersons:
    """Who is annotated in an image.

    Attributes:
        boxes: [G, 4] as those of `FoundPersons`.
        classes: [G].
        observed: [G] bool, whether somebody looked what they do.
        does: [G, V] bool, whether they do it, with an object or without.
        objects: {(person, verb): [n, 4] boxes of its objects}.
    """

    boxes: np.ndarray
    classes: np.ndarray
    observed: np.ndarray
    does: np.ndarray
    objects: dict[tuple[int, int], np.ndarray]

    @classmethod
    def of(cls, told: Told, observed: np.ndarray, subjects: Iterable[int], verbs: int) -> "TruePersons":
        """From annotated pairs; persons are the objects of the classes `subjects`."""
        rows = np.flatnonzero(np.isin(told.classes, list(subjects)))
        places = {row: place for place, row in enumerate(rows.tolist())}
        does, objects = np.zeros((len(rows), verbs), bool), {}
        for (subject, partner), verb in zip(told.pairs.tolist(), told.verbs.tolist()):
            does[places[subject], verb] = True
            if partner >= 0:
                objects.setdefault((places[subject], verb), []).append(told.boxes[partner])
        own = {key: np.array(boxes) for key, boxes in objects.items()}
        return cls(told.boxes[rows], told.classes[rows], np.asarray(observed, bool)[rows], does, own)


@dataclasses.dataclass(frozen=True)
class RoleScores:
    """AP of each action and of each verb with its object, 0 to 1; NaN of those that nobody does.

    Attributes:
        agent: [A].
        roles: [V] of each scenario.
    """

    agent: np.ndarray
    roles: dict[int, np.ndarray]


def score_roles(images: Sequence[tuple[FoundPersons, TruePersons]], actions: Sequence[int]) -> RoleScores:
    """Scores all images.

    Args:
        images: Who was found and who is annotated in each.
        actions: Action of each verb.
    """
    compared = [_Compared.of(found, truth) for found, truth in images]
    actions, verbs = np.asarray(actions, np.int64), range(len(actions))
    agent = [_ap([one.agent(action, actions) for one in compared]) for action in range(actions.max(initial=-1) + 1)]
    roles = {
        scenario: np.array([_ap([one.role(verb, scenario) for one in compared]) for verb in verbs])
        for scenario in SCENARIOS
    }
    return RoleScores(np.array(agent), roles)


@dataclasses.dataclass(frozen=True, eq=False)
class _Judged:
    """What is said of one action or role in an image.

    Attributes:
        scores: [D] the surest first.
        hits: [D] bool, whether it is right.
        wanted: How many persons do it.
    """

    scores: np.ndarray
    hits: np.ndarray
    wanted: int


@dataclasses.dataclass(frozen=True, eq=False)
class _Compared:
    """Found persons beside the annotated ones that they overlap most.

    Attributes:
        found: Who was found.
        truth: Who is annotated.
        place: [D] the annotated person of each, G where there is none of the class.
        counted: [D] bool, whether that person was observed.
        near: [D] bool, whether the two overlap enough.
        does: [G + 1, V] bool, what is done; nothing by nobody, who comes last.
    """

    found: FoundPersons
    truth: TruePersons
    place: np.ndarray
    counted: np.ndarray
    near: np.ndarray
    does: np.ndarray

    @classmethod
    def of(cls, found: FoundPersons, truth: TruePersons) -> "_Compared":
        same = found.classes[:, None] == truth.classes[None]
        iou = np.where(same, box_iou(found.boxes, truth.boxes), -1.0)
        iou = np.concatenate([iou, np.full((len(iou), 1), -0.5)], axis=1)  # nobody is nearer than another class
        place, does = iou.argmax(axis=1), np.concatenate([truth.does, np.zeros((1, truth.does.shape[1]), bool)])
        return cls(found, truth, place, np.append(truth.observed, True)[place], iou.max(axis=1) >= OVERLAP, does)

    def agent(self, action: int, actions: np.ndarray) -> _Judged:
        """Of an action, which is done where one of its verbs is."""
        does = self.does[:, actions == action].any(axis=1)
        return self._judged(self.found.agents[:, action], does[self.place], does)

    def role(self, verb: int, scenario: int) -> _Judged:
        """Of a verb with its object."""
        does = self.does[:, verb]
        fits = [self._object_fits(row, verb, scenario) for row in range(len(self.place))]
        return self._judged(self.found.roles[:, verb], does[self.place] & np.array(fits, bool), does)

    def _object_fits(self, row: int, verb: int, scenario: int) -> bool:
        """Whether the object that was found for a person is one of those of the annotated person."""
        box, wanted = self.found.objects[row, verb], self.truth.objects.get((int(self.place[row]), verb))
        if wanted is None:
            return scenario == 2 or bool(np.isnan(box).all() or (box == 0).all())
        return not np.isnan(box).any() and bool((box_iou(box[None], wanted) >= OVERLAP).any())

    def _judged(self, scores: np.ndarray, right: np.ndarray, does: np.ndarray) -> _Judged:
        told = np.flatnonzero(~np.isnan(scores) & self.counted)
        order = told[np.argsort(-scores[told], kind="stable")]
        claims = np.where((right & self.near)[order], self.place[order], -1)
        wanted = does[:-1] & self.truth.observed
        return _Judged(scores[order], first_to_claim(claims, len(does)), int(wanted.sum()))


def _ap(images: Sequence[_Judged]) -> float:
    """Area below the precision-recall curve of all images; NaN where nobody does it."""
    wanted = sum(one.wanted for one in images)
    if not wanted:
        return float("nan")
    scores = np.concatenate([one.scores for one in images])
    hits = np.concatenate([one.hits for one in images])
    return area_below(*curve(hits[np.argsort(-scores, kind="stable")], wanted))
