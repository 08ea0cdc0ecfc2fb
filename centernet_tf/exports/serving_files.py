"""What stands beside a SavedModel for TensorFlow Serving: warm-up requests, a configuration, and how to run it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from centernet_tf.detector import remember
from centernet_tf.detector.clips import Held, pictures_of, seen_by
from centernet_tf.detector.remember import Remembered
from centernet_tf.exports import clips, video
from centernet_tf.exports.about import ABOUT, state_of, usual_extras
from centernet_tf.exports.answers import answers_of
from centernet_tf.exports.carried import PREVIOUS_BYTES, Carried
from centernet_tf.host.files import write_text
from centernet_tf.model.card import ModelCard
from centernet_tf.points.task import Extra
from centernet_tf.properties.property import Answer

WARMUP = "tf_serving_warmup_requests"  # The server's name for it, in assets.extra.


def write_warmup(folder: Path, name: str, card: ModelCard, remembered: Remembered | Held | None = None) -> Path:
    """Writes requests that the server runs before it calls itself ready, so that no client waits for the first run.

    Args:
        folder: Of the SavedModel.
        name: Of the served model.
        card: Of the model; the image in them has the size of its input, and its usual extras.
        remembered: What it remembers from frame to frame, or holds of clips.

    Returns:
        The file: a TFRecord of serialized tensorflow.serving.PredictionLog.
    """
    image = np.random.default_rng(0).integers(0, 256, (card.input.height, card.input.width, 3), np.uint8)
    extras = usual_extras(card.task_set().extras)
    file = np.array([tf.io.encode_jpeg(image).numpy()])
    wanted = seen_by(card.task_set())
    inputs = {
        "image_bytes": {"image_bytes": file, **extras},
        "serving_default": {"input_tensor": image[None], **extras},
    }
    if wanted is not None:
        inputs = _of_clips(inputs, len(pictures_of(wanted)), remembered)
    elif remembered is not None:
        state = state_of(remembered)
        pixels = Carried(state, name).arguments(image[None])
        files = Carried(state, name, PREVIOUS_BYTES).arguments(file)
        inputs = {
            video.TRACK_BYTES: {**inputs["image_bytes"], **files},
            **{signature: {**inputs["serving_default"], **pixels} for signature in (video.TRACK, "serving_default")},
        }
    path = folder / "assets.extra" / WARMUP
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, arguments in inputs.items():
            tensors = {
                argument: tf.make_tensor_proto(value).SerializeToString() for argument, value in arguments.items()
            }
            writer.write(_prediction_log(name, signature, tensors))
    return path


def _of_clips(
    inputs: Mapping[str, Mapping[str, np.ndarray]], count: int, held: Held | None
) -> dict[str, dict[str, np.ndarray]]:
    """The requests for one image as those for a clip of so many pictures, for a video, and for its next frame."""
    first = {"image_bytes": "image_bytes", "serving_default": "input_tensor"}
    frame, whole = {"image_bytes": clips.STREAM_BYTES, "serving_default": clips.STREAM}, {}
    for signature, given in inputs.items():
        name = first[signature]
        video = np.repeat(given[name], count, axis=0)
        whole[signature] = {**given, name: video[None]}
        if held is not None:
            state = Carried(state_of(held), signature).arguments(given[name])
            whole[frame[signature]] = {**given, **state}
    return whole


def _prediction_log(name: str, signature: str, tensors: Mapping[str, bytes]) -> bytes:
    """A PredictionLog with one PredictRequest.

    Written field by field, so that an export does not need tensorflow-serving-api: the messages are six fields deep in
    all and their numbers never change.
    """
    model = _field(1, name.encode()) + _field(3, signature.encode())  # ModelSpec: name, signature_name.
    # Each of the map `inputs`: key, value.
    entries = [_field(1, argument.encode()) + _field(2, tensor) for argument, tensor in tensors.items()]
    request = _field(1, model) + b"".join(_field(2, entry) for entry in entries)  # PredictRequest: model_spec, inputs.
    return _field(6, _field(1, request))  # PredictionLog.predict_log, PredictLog.request.


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes in protobuf's encoding: its number, its length, itself."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def write_guide(folder: Path, name: str, card: ModelCard) -> None:
    """Writes model.config and serving.txt.

    Args:
        folder: Above the numbered one.
        name: Of the served model.
        card: Of the model.
    """
    text, place = (json.dumps(value, ensure_ascii=False) for value in (name, f"/models/{name}"))
    write_text(folder / "model.config", CONFIG.format(name=text, place=place))
    kept = card.input.mode == "keep"
    fits = "keeps their resolution" if kept else f"fits them to {card.input.height}x{card.input.width}"
    tasks = card.task_set()
    answers, extras = _answers_text(answers_of(tasks.finds)), _extras_text(tasks.extras)
    wanted = seen_by(tasks)
    if wanted is not None:
        held = STREAM if Held.holds(wanted, card.input) else ""
        request = CLIPS.format(count=len(pictures_of(wanted)), what="pictures" if wanted.stacked > 1 else "frames")
        request += held.format(name=name, behind=max(wanted.frames)) + "\n"
    else:
        request = (TRACK if remember.is_needed(tasks) else IMAGES).format(name=name)
    guide = GUIDE.format(name=name, fits=fits, backbone=card.backbone, request=request, answers=answers, extras=extras)
    write_text(folder / "serving.txt", guide)


def _answers_text(answers: Sequence[Answer]) -> str:
    """A line for each further answer."""
    return "".join(f"  {answer.name}: {answer.meaning}\n" for answer in answers)


def _extras_text(extras: Sequence[Extra]) -> str:
    """What to send beside images."""
    if not extras:
        return ""
    lines = "".join(f"  {extra.name}: {extra.meaning}\n" for extra in extras)
    request = ", ".join(f'"{extra.name}": [...]' for extra in extras)
    return EXTRAS.format(lines=lines, request=request, about=ABOUT)


CONFIG = """model_config_list {{
  config {{
    name: {name}
    base_path: {place}
    model_platform: "tensorflow"
  }}
}}
"""

GUIDE = """{name}: a CenterNet ({backbone}) that takes images of any size and {fits}.

TensorFlow Serving, in the folder above this one:

    docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD/{name}:/models/{name}" tensorflow/serving \\
        --model_config_file=/models/{name}/model.config

{request}Answers: detection_boxes (top, left, bottom, right as fractions of the image), detection_classes (from 1, see
assets/label_map.pbtxt), detection_scores, num_detections.
{answers}{extras}
Images are taken as stored: the EXIF orientation of phones is not applied, transparency is dropped.
A file that is not an image fails its whole request with status 400. Do not let the server merge requests of several
clients (--enable_batching) where such files may come: one would fail them all.
Where the processor computes in bfloat16 (AMX, AVX512_BF16), `centernet export --precision bfloat16` is faster by far.
A float32 model gets some of that speed from `-e TF_SET_ONEDNN_FPMATH_MODE=BF16` after `docker run`.
"""

IMAGES = """Send a request (port 8501 is REST, 8500 gRPC):

    echo '{{"signature_name": "image_bytes", "instances": [{{"b64": "'$(base64 -w0 image.jpg)'"}}]}}' |
        curl http://localhost:8501/v1/models/{name}:predict -d @-

or in Python: centernet_tf.serving.client.

Signatures: serving_default (input_tensor, uint8 RGB), float_image (input_tensor, float32 RGB from 0 to 255),
image_bytes (image_bytes, files of any sizes), tf_example (example_bytes), at_points (input_tensor, and points [x, y] in
pixels: what is there).
"""

TRACK = """It follows objects through a video: send its frames in order, one a request. In Python:

    from centernet_tf.serving.client import RestClient
    tracker = RestClient("http://localhost:8501", "{name}", names).tracker("assets/model.json")
    found = tracker.step("frame_000001.jpg")

Signatures: track (input_tensor, uint8 RGB), also as serving_default; track_bytes (image_bytes, a file). Beside the
frame each takes the state of the video, state_NAME, and answers with the next one under the same names, to be sent with
the next frame; the server keeps nothing. "state" in assets/model.json has its shapes and types. Zeros begin a video,
with the frame itself as state_previous (state_previous_bytes of files).
"""

CLIPS = """It sees clips, {count} {what} of a video at once, and answers what is in the one that is present.

Signatures: serving_default (input_tensor, uint8 RGB [B, {count}, H, W, 3]), float_image (the same in float32 from 0 to
255), image_bytes (image_bytes, files [B, {count}]), video (input_tensor, uint8 [N, H, W, 3]) and video_bytes
(image_bytes, files [N]), which answer for each picture of a video, the first and the last standing for those beyond.
"""

STREAM = """
Frame by frame: stream (input_tensor, uint8 [1, H, W, 3]) and stream_bytes (image_bytes, one file), of which
each frame passes the network's trunk once. In Python:

    from centernet_tf.serving.client import GrpcClient
    tracker = GrpcClient("localhost:8500", "{name}", names).tracker("assets/model.json")
    for found in tracker.windows(files): ...   # or tracker.follow(files), which says what belongs together

Beside the frame they take the state of the video, state_NAME, and answer with the next one under the same names, to be
sent with the next frame; the server keeps nothing. "state" in assets/model.json has its shapes and types. Zeros begin a
video. Answers are of {behind} frames before; until then all scores are 0, and at the end the last frame is sent
{behind} times more. The state is as large as the features of so many frames: over REST, video_bytes may be quicker.
"""

EXTRAS = """
Every signature takes more than the image, for each image of a request:
{lines}assets/{about} holds, under "extras", the values to give where an image's own are not known. For REST, write
"instances": [{{"image_bytes": {{"b64": ...}}, {request}}}].
"""
