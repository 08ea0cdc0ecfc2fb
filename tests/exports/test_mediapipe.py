"""MediaPipe Tasks takes a TFLite file as it is and finds in it what LiteRT finds.

MediaPipe wants opencv-contrib-python, whose files would replace those of our OpenCV, so it is installed without what it
asks for into a folder of this test alone; the rest of it is here already.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.exports.tflite import export_tflite

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the converter to TFLite is TensorFlow's"),
]
ROOT = Path(__file__).parents[2]
PACKAGES = ("mediapipe", "sounddevice", "cffi")

FIND = """
import json, sys
import mediapipe, numpy
options = mediapipe.tasks.vision.ObjectDetectorOptions(mediapipe.tasks.BaseOptions(sys.argv[1]), score_threshold=0.3)
with mediapipe.tasks.vision.ObjectDetector.create_from_options(options) as detector:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=numpy.load(sys.argv[2]))
    found = detector.detect(image).detections
rows = []
for one in found:
    box, kind = one.bounding_box, one.categories[0]
    rows.append([box.origin_y, box.origin_x, box.height, box.width, kind.category_name, kind.score])
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def mediapipe(tmp_path_factory):
    """A folder with MediaPipe in it, in the version of constraints.txt."""
    folder = tmp_path_factory.mktemp("mediapipe")
    call = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    call += ["--constraint", str(ROOT / "constraints.txt"), "--target", str(folder), *PACKAGES]
    subprocess.run(call, check=True)
    return folder


def test_it_finds_what_the_interpreter_finds(mediapipe, spot_network, spot_card, draw_spots, tmp_path):
    from ai_edge_litert import interpreter as litert

    file = export_tflite((spot_network, spot_card), tmp_path / "spots.tflite")
    image = draw_spots(128, 128, (30, 40, 0), (90, 100, 1))
    np.save(tmp_path / "image.npy", image)
    told = subprocess.run(
        [sys.executable, "-c", FIND, str(file), str(tmp_path / "image.npy")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(mediapipe)},
    )
    assert told.returncode == 0, told.stderr[-2000:]
    found = json.loads(told.stdout.splitlines()[-1])
    interpreter = litert.Interpreter(str(file))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None].astype(np.float32))
    interpreter.invoke()
    boxes, labels, scores = (interpreter.get_tensor(one["index"])[0] for one in interpreter.get_output_details()[:3])
    assert len(found) == (scores > 0.3).sum() == 2
    for (top, left, height, width, name, score), box, label, expected in zip(found, boxes * 128, labels, scores):
        np.testing.assert_allclose([top, left, top + height, left + width], box, atol=1)
        assert name == spot_card.classes[int(label)]
        assert score == pytest.approx(expected, abs=1e-6)
