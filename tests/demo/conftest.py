"""Models and examples of a page: the spot network, and the smallest network of each task."""

import keras
import pytest

from centernet_tf.demo import examples
from centernet_tf.demo.models import Shown
from centernet_tf.detector.detector import Detector
from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.media.draw import save_image
from centernet_tf.media.video import VideoWriter
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.tasks import TASKS

FACE = {"keypoints": ["nose", "left_eye", "right_eye"], "flip_pairs": [["left_eye", "right_eye"]]}
NEEDED = {
    "pose": {"skeleton": FACE},
    "reid": {"identities": (3, 3), "embedding": 9},
    "hoi": {"verbs": ("a", "b")},
    "box3d": {"camera": DEFAULT_CAMERA.tolist()},
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory, draw_spots):
    """Two images with a spot or two, and a video of 6 frames in which one moves."""
    place = tmp_path_factory.mktemp("examples")
    save_image(place / "a.png", draw_spots(96, 64, (30, 40, 0), (70, 20, 1)))
    save_image(place / "b.jpg", draw_spots(64, 64, (30, 34, 0)))
    writer = VideoWriter(place / "c.mp4", 10, (64, 64))
    for step in range(6):
        writer.write(draw_spots(64, 64, (14 + 6 * step, 34, 0)))
    writer.close()
    return place


@pytest.fixture(scope="session")
def spots(spot_network, spot_card, folder):
    """The spot network on the page, with the folder's examples."""
    return Shown("spots", Detector(spot_network, spot_card), examples.of_folder(folder))


@pytest.fixture(scope="session")
def shown_of():
    """A function that puts the smallest network of a task, which knows nothing, on the page."""

    def make(task, **options):
        keras.utils.set_random_seed(0)
        form = InputCard(height=64, width=64, stride=32, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
        options = {"classes": ("red", "green"), "max_objects": 6, **options}
        settings = {**NEEDED.get(task, {}), **options.pop("settings", {})}
        card = ModelCard(tasks={task: settings}, backbone="tiny", input=form, head_channels=8, **options)
        tasks = card.task_set()
        return Shown(task, Detector(build_network("tiny", tasks.heads, tasks.inputs, 8), card), [])

    assert set(NEEDED) <= set(TASKS)
    return make
