"""Identities by appearance, motion and overlap beside a slow twin: the original's rules as loops over single tracks."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from centernet_tf.tasks.reid import kalman
from centernet_tf.tasks.reid.associate import Memory, Rules, step


class Twin:
    """The original's tracker as loops over single tracks, which are dicts; with classes and low scores."""

    def __init__(self, rules):
        self.rules, self.tracks, self.frame, self.next_id = rules, [], 0, 1

    def step(self, found):
        self.frame += 1
        rules, objects = self.rules, [{"row": row} for row in range(len(found["scores"]))]
        for row, one in enumerate(objects):
            one |= {"score": found["scores"][row], "class": found["classes"][row], "box": found["boxes"][row]}
            one["look"] = found["embeddings"][row] if "embeddings" in found and rules.use_embedding else None
        strong = [one for one in objects if one["score"] > rules.threshold]
        low = rules.threshold if rules.low is None else rules.low
        weak = [one for one in objects if low < one["score"] < rules.threshold]
        for track in self.tracks:
            if track["confirmed"] and rules.use_motion:
                track["mean"][7] *= track["state"] == "tracked"
                mean, covariance = kalman.predict(track["mean"][None], track["covariance"][None])
                track["mean"], track["covariance"] = mean[0], covariance[0]
        before = [track["state"] for track in self.tracks]
        known = [track for track in self.tracks if track["confirmed"]]
        last = [track for track, state in zip(self.tracks, before, strict=True) if state == "tracked"]
        first, limit = (self.unlike, rules.embedding_limit)
        if all(one["look"] is None for one in objects):
            first, limit = self.apart, rules.alone_limit
        self.match(known, strong, first, limit)
        unconfirmed = [track for track in self.tracks if not track["confirmed"]]
        self.match([track for track in last if track in known], strong, self.apart, rules.tracked_limit)
        self.match([track for track in last if track in known], weak, self.apart, rules.low_limit, look=False)
        self.match(unconfirmed, strong, self.apart, rules.unconfirmed_limit)
        self.miss(dict(zip(map(id, self.tracks), before, strict=True)))
        for one in strong:
            if "track" not in one:
                self.bear(one)
        self.forget_doubles()
        named = (one.get("track") for one in objects)
        alive = {id(track) for track in self.tracks}
        return [t["id"] if t is not None and id(t) in alive and t["confirmed"] else 0 for t in named]

    def match(self, tracks, objects, distance, limit, look=True):
        tracks = [track for track in tracks if track["seen"] < self.frame]
        objects = [one for one in objects if "track" not in one]
        size = len(tracks) + len(objects)
        cost = np.full((size, size), limit / 2)
        cost[len(tracks) :, len(objects) :] = 0
        for i, track in enumerate(tracks):
            for j, one in enumerate(objects):
                cost[i, j] = distance(track, one) if track["class"] == one["class"] else 1e6
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            if i < len(tracks) and j < len(objects):
                self.update(tracks[i], objects[j], look)

    def update(self, track, one, look):
        measured = kalman.measurements_of(one["box"][None].astype(float))
        if self.rules.use_motion:
            mean, covariance = kalman.update(track["mean"][None], track["covariance"][None], measured)
            track["mean"], track["covariance"] = mean[0], covariance[0]
        else:
            track["mean"][:4] = measured[0]
        if look and one["look"] is not None:
            mixed = self.rules.smoothing * track["look"] + (1 - self.rules.smoothing) * one["look"]
            track["look"] = mixed / np.linalg.norm(mixed)
        if track["state"] == "tracked":
            track["score"] = one["score"]
        track |= {"state": "tracked", "confirmed": True, "seen": self.frame}
        one["track"] = track

    def unlike(self, track, one):
        look = 1 - track["look"] @ one["look"]
        if not self.rules.use_motion:
            return look
        measured = kalman.measurements_of(one["box"][None].astype(float))
        apart = kalman.distances(track["mean"][None], track["covariance"][None], measured)[0, 0]
        return 1e6 if apart > 9.4877 else self.rules.weight * look + (1 - self.rules.weight) * apart

    def apart(self, track, one):
        return 1 - slow_iou(kalman.boxes_of(track["mean"][None])[0], one["box"])

    def miss(self, before):
        """Who was not seen: at first missing, then late, then gone; who is not confirmed is gone at once."""
        left = []
        for track in self.tracks:
            if track["seen"] < self.frame:
                if not track["confirmed"] or track["late"]:
                    continue
                track["state"] = "lost"
                if before[id(track)] == "lost" and self.frame - track["seen"] > self.rules.buffer:
                    track["late"] = True
            left.append(track)
        self.tracks = left

    def bear(self, one):
        mean, covariance = kalman.initiate(kalman.measurements_of(one["box"][None].astype(float)))
        new = {"id": self.next_id, "state": "tracked", "confirmed": self.frame == 1, "late": False}
        new |= {"start": self.frame, "seen": self.frame, "mean": mean[0], "covariance": covariance[0]}
        one["track"] = new | {name: one[name] for name in ("class", "score", "look")}
        self.next_id += 1
        self.tracks.append(one["track"])

    def forget_doubles(self):
        gone = []
        for here in (track for track in self.tracks if track["state"] == "tracked"):
            for lost in (track for track in self.tracks if track["state"] == "lost"):
                boxes = kalman.boxes_of(np.stack([here["mean"], lost["mean"]]))
                if here["class"] == lost["class"] and slow_iou(*boxes) > self.rules.duplicates:
                    older = here["seen"] - here["start"] > lost["seen"] - lost["start"]
                    gone.append(id(lost if older else here))
        self.tracks = [track for track in self.tracks if id(track) not in gone]


def slow_iou(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0]) + 1
    height = min(first[3], second[3]) - max(first[1], second[1]) + 1
    common = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (first, second)]
    return common / (sum(areas) - common)


@pytest.mark.parametrize(
    ("rules", "looks"),
    [
        (Rules(buffer=4), True),
        (Rules(0.6, low=0.2, buffer=2), True),
        (Rules(buffer=0, smoothing=0.5, weight=0.9), True),
        (Rules(buffer=3), False),
        (Rules(0.5, low=0.2, buffer=5, use_embedding=False), True),
        (Rules(buffer=3, use_motion=False), True),
        (Rules(0.3, buffer=3, duplicates=0.4, use_motion=False, use_embedding=False), True),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_equals_single_tracks(rules, looks, seed, crowd):
    memory, twin, told = Memory.empty(), Twin(rules), 0
    for found in crowd(seed, looks=looks):
        ids, _, memory = step(found, memory, rules)
        assert ids.tolist() == twin.step(found)
        for name, theirs in {"ids": "id", "start": "start", "seen": "seen", "expired": "late"}.items():
            assert getattr(memory, name).tolist() == [track[theirs] for track in twin.tracks], name
        for name in ("mean", "covariance"):
            slow = np.array([track[name] for track in twin.tracks]).reshape(getattr(memory, name).shape)
            np.testing.assert_allclose(getattr(memory, name), slow, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(memory.scores, [track["score"] for track in twin.tracks])
        told += (ids > 0).sum()
    assert told > 60 and memory.next_id == twin.next_id > 10
