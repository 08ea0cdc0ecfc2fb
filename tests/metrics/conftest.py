import numpy as np
import pytest


@pytest.fixture
def random_scene():
    """A function that makes images with truth and imperfect detections: [(image id, detections, truth)]."""

    def make(images=20, classes=4, seed=0, ties=False, most=12):
        random = np.random.default_rng(seed)
        scene = []
        for image_id in random.permutation(10**6)[:images].tolist():
            count = int(random.integers(0, most))
            corner, size = random.uniform(0, 300, (count, 2)), random.uniform(8, 150, (count, 2))
            boxes = np.concatenate([corner, corner + size], axis=1)
            truth = {
                "boxes": boxes,
                "classes": random.integers(0, classes, count),
                "crowd": random.random(count) < 0.15,
                "difficult": random.random(count) < 0.2,
                "area": size.prod(axis=1) * random.uniform(0.5, 1, count),
            }
            twice = np.repeat(np.arange(count), random.integers(0, 4, count))
            found = boxes[twice] + random.normal(0, 6, (len(twice), 4))
            found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
            label = np.where(random.random(len(twice)) < 0.85, truth["classes"][twice], 0)
            scores = random.random(len(twice)).astype(np.float32)
            if ties:
                scores = scores.round(1)
            scene.append((image_id, {"boxes": found.astype(np.float32), "scores": scores, "classes": label}, truth))
        return scene

    return make
