"""Scores of interactions by the metrics of HICO-DET, V-COCO and HOI-A."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table

from centernet_tf.host.plain import plain
from centernet_tf.metrics.tables import number, percent
from centernet_tf.properties.interactions.roles import SCENARIOS, FoundPersons, RoleScores, TruePersons, score_roles
from centernet_tf.properties.interactions.told import NOTHING, Told
from centernet_tf.properties.interactions.triplets import RARE, Kind, KindScore, score_triplets, score_verbs
from centernet_tf.properties.metric import ImageKey, Metric, Score
from centernet_tf.properties.property import Rows

UNQUOTED = "point"  # the action that V-COCO's AP_role is quoted without: too few persons point at things
NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """What pairs are made of.

    Attributes:
        classes: Names.
        verbs: Names.
        actions: Action of each verb, by name.
        alone: Verbs that have no object.
        trained: Pairs of each verb and class of its object in the training set; empty where nobody says.
    """

    classes: tuple[str, ...]
    verbs: tuple[str, ...]
    actions: tuple[str, ...]
    alone: frozenset[str] = frozenset()
    trained: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)

    def partner(self, label: int) -> str:
        """Name of the class of an object; "" for no object."""
        return "" if label == NOTHING else self.classes[label]

    def seen(self, kind: Kind) -> int | None:
        """Pairs of this kind in the training set; None where nobody says."""
        _, verb, partner = kind
        return self.trained.get(self.verbs[verb], {}).get(self.partner(partner), 0) if self.trained else None


@dataclasses.dataclass(frozen=True)
class InteractionScores(Score):
    """What is said of the pairs. Numbers run from 0 to 1 and are NaN without truth.

    Attributes:
        words: What the pairs are made of.
        images: How many there are.
        found: Pairs that were found.
        kinds: HICO-DET's scores of each annotated kind of pair.
        known: The same on images that hold such an object.
        verbs: HOI-A's scores of each verb.
        roles: V-COCO's scores of each action, and of each verb with its object.
    """

    words: Vocabulary
    images: int
    found: int
    kinds: Mapping[Kind, KindScore]
    known: Mapping[Kind, KindScore]
    verbs: Sequence[KindScore]
    roles: RoleScores

    @property
    def main(self) -> dict[str, float]:
        return {"interactions": self.hico(self.kinds)["full"]}

    def hico(self, kinds: Mapping[Kind, KindScore]) -> dict[str, float]:
        """HICO-DET's means over all kinds, rare ones and the others; kinds without training pairs are neither."""
        seen = {kind: self.words.seen(kind) or 0 for kind in kinds}
        chosen = {
            "full": list(kinds),
            "rare": [kind for kind in kinds if 0 < seen[kind] < RARE],
            "non_rare": [kind for kind in kinds if seen[kind] >= RARE],
        }
        return {name: _mean([kinds[kind].ap for kind in some]) for name, some in chosen.items()}

    def role(self, scenario: int, quoted: bool = False) -> float:
        """V-COCO's mean AP_role; as it is quoted, without the action to point."""
        words = self.words
        listed = zip(words.verbs, words.actions, self.roles.roles[scenario].tolist())
        return _mean(
            [ap for verb, action, ap in listed if verb not in words.alone and not (quoted and action == UNQUOTED)]
        )

    @property
    def agent(self) -> float:
        """V-COCO's mean AP_agent."""
        return _mean(self.roles.agent.tolist())

    def tables(self) -> list[Table]:
        """The means, then what each verb has."""
        means = Table(title=f"Interactions in {self.images} images, {self.found} pairs found", title_justify="left")
        means.add_column("score")
        for name in ("full", "rare", "non-rare"):
            means.add_column(name, justify="right")
        for name, kinds in (("HICO-DET mAP", self.kinds), ("HICO-DET mAP, known object", self.known)):
            means.add_row(name, *map(percent, self.hico(kinds).values()))
        for scenario in SCENARIOS:
            means.add_row(f"V-COCO AP_role, scenario {scenario}", percent(self.role(scenario, quoted=True)), "", "")
        means.add_row("V-COCO AP_agent", percent(self.agent), "", "")
        means.add_row("HOI-A mAP", percent(_mean([one.ap for one in self.verbs])), "", "")
        verbs = Table("verb", title="Verbs: HICO-DET's AP over their objects, V-COCO's AP_role, HOI-A's AP")
        for name in ("pairs", "AP", "AP_role 1", "AP_role 2", "HOI-A"):
            verbs.add_column(name, justify="right")
        for row in self._verbs():
            values = (percent(NAN if row[key] is None else row[key]) for key in ("AP", *_ROLES, "HOI-A"))
            verbs.add_row(plain(row["name"]), str(row["pairs"]), *values)
        return [means, verbs]

    def as_dict(self) -> dict[str, Any]:
        """ "interactions": the means, "verbs" and "classes", HICO-DET's kinds of pairs."""
        hico = {name: number(value) for name, value in self.hico(self.kinds).items()}
        return {
            "interactions": {
                "images": self.images,
                "pairs": self.found,
                **hico,
                "known_object": {name: number(value) for name, value in self.hico(self.known).items()},
                "area": number(_mean([one.area for one in self.kinds.values()])),
                **{key: number(self.role(scenario, True)) for key, scenario in zip(_ROLES, SCENARIOS)},
                **{f"{key}_all": number(self.role(scenario)) for key, scenario in zip(_ROLES, SCENARIOS)},
                "AP_agent": number(self.agent),
                "HOI-A": number(_mean([one.ap for one in self.verbs])),
                "verbs": self._verbs(),
                "classes": [self._kind(kind) for kind in self.kinds],
            }
        }

    def _verbs(self) -> list[dict[str, Any]]:
        """Each verb that is annotated."""
        rows = []
        for place, (name, one) in enumerate(zip(self.words.verbs, self.verbs)):
            aps = [score.ap for kind, score in self.kinds.items() if kind[1] == place]
            alone = name in self.words.alone
            roles = {
                key: None if alone else number(float(self.roles.roles[scenario][place]))
                for key, scenario in zip(_ROLES, SCENARIOS)
            }
            row = {"name": name, "pairs": one.truth, "AP": number(_mean(aps)), **roles, "HOI-A": number(one.ap)}
            rows += [row] if one.truth else []
        return rows

    def _kind(self, kind: Kind) -> dict[str, Any]:
        (subject, verb, partner), one = kind, self.kinds[kind]
        return {
            "subject": self.words.partner(subject),
            "verb": self.words.verbs[verb],
            "object": self.words.partner(partner) or None,
            "pairs": one.truth,
            "trained": self.words.seen(kind),
            "AP": number(one.ap),
            "AP known object": number(self.known[kind].ap),
        }


_ROLES = ("AP_role_1", "AP_role_2")


class InteractionMetric(Metric):
    """Compares found with annotated pairs. Pairs with a crowd or an ignored object are not asked for.

    Args:
        words: What pairs are made of.
        digits: Decimals that found boxes and scores are rounded to; None rounds nothing.
        numbers: Of the verbs of `words`, in the order in which found pairs count them; None where they are these.
    """

    def __init__(self, words: Vocabulary, digits: int | None = None, numbers: Sequence[int] | None = None) -> None:
        self._words, self._digits, self._numbers = words, digits, numbers
        self._images: list[tuple[Told, Told, np.ndarray]] = []

    def update(self, image: ImageKey, found: Rows, truth: Rows) -> None:
        if not {"pairs", "verbs", "pair_scores"} <= set(found):
            return
        unwanted = np.append(truth["ignored"] | truth["crowd"], False)  # the last is that of -1, no object
        pairs = np.reshape(truth["pairs"], (-1, 2))
        asked = ~unwanted[pairs].any(axis=1)
        told = Told.of(
            {
                **truth,
                "pairs": pairs[asked],
                "verbs": np.asarray(truth["verbs"])[asked],
                "pair_scores": np.zeros(asked.sum()),
            }
        )
        observed = np.asarray(truth["observed"], bool) & ~unwanted[:-1]
        if self._numbers is not None:
            found = {**found, "verbs": np.asarray(self._numbers, np.int64)[found["verbs"]]}
        self._images.append((Told.of(found, self._digits), told, observed))

    def result(self) -> InteractionScores | None:
        pairs = [(found, truth) for found, truth, _ in self._images]
        if not any(len(found.verbs) or len(truth.verbs) for found, truth in pairs):
            return None
        words, count = self._words, len(self._words.verbs)
        names = list(dict.fromkeys(words.actions))
        actions = [names.index(name) for name in words.actions]
        subjects = {int(label) for _, truth in pairs for label in truth.classes[truth.pairs[:, 0]]}
        persons = [
            (FoundPersons.of(found, actions, count), TruePersons.of(truth, observed, subjects, count))
            for found, truth, observed in self._images
        ]
        return InteractionScores(
            words=words,
            images=len(pairs),
            found=sum(len(found.verbs) for found, _ in pairs),
            kinds=score_triplets(pairs),
            known=score_triplets(pairs, known_object=True),
            verbs=score_verbs(pairs, count),
            roles=score_roles(persons, actions),
        )


def _mean(values: Sequence[float]) -> float:
    """Mean of those that are known; NaN where none is."""
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else NAN
