"""Exported models of clips: clips, videos and single frames with a state answer as the detector does in a video."""

import functools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.check import check_export, runners_of
from centernet_tf.exports.onnx import export_onnx
from centernet_tf.exports.runners import KerasRunner, SavedModelRunner, open_runner
from centernet_tf.exports.savedmodel import export_savedmodel
from centernet_tf.exports.tflite import export_tflite
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import save_model
from centernet_tf.model.network import build_network

SIZE = (32, 48)


def clip_model(frames=3, flow=0, reduce=None, **form):
    """A network of noise: what it finds differs from frame to frame."""
    whole = InputCard(**{"height": SIZE[0], "width": SIZE[1], "stride": 4, **form})
    task = {"frames": frames, "flow": flow, "reduce": reduce, "min_length": frames + 1, "link_overlap": 0.1}
    names = ("sit", "walk")
    card = ModelCard(
        tasks={"action": task}, backbone="tiny", classes=names, max_objects=6, input=whole, head_channels=8
    )
    tasks = card.task_set()
    network = build_network("tiny", tasks.heads, tasks.inputs, 8)
    random = np.random.default_rng(frames)
    for weight in network.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    return network, card


def video_of(count, size=(20, 40), seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, *size, 3)).astype(np.uint8))


def expected_in(model, video):
    """What is found in each frame, and the tubes, as `centernet track` has them."""
    found = []
    told = list(follow(Detector(*model), video, 0.0, keep=found.append))
    return found, told


def check_alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        np.testing.assert_array_equal(one.classes, other.classes)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
        assert one.fields.keys() == other.fields.keys()
        for name in one.fields:
            np.testing.assert_allclose(one.fields[name], other.fields[name], atol=0.01, err_msg=name)


@pytest.fixture(scope="module")
def model():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("models are exported on TensorFlow")
    return clip_model()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    return export_savedmodel(model, tmp_path_factory.mktemp("written") / "served")


@pytest.fixture(scope="module")
def served(folder):
    return open_runner(folder)


@pytest.fixture(scope="module")
def phone(model, tmp_path_factory):
    pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
    return open_runner(export_tflite(model, tmp_path_factory.mktemp("written") / "phone.tflite"))


@pytest.fixture(params=["frames", "clips", "phone"])
def runner(request, folder):
    """The same model frame by frame, in whole clips, and in a TFLite file."""
    if request.param == "phone":
        return request.getfixturevalue("phone")
    return SavedModelRunner(folder, streams=False) if request.param == "clips" else request.getfixturevalue("served")


@pytest.fixture(scope="module")
def in_python(model):
    """A function from a number of frames to what is expected in such a video, which is found once for all runners."""
    return functools.cache(lambda count: expected_in(model, video_of(count)))


@pytest.mark.parametrize("count", [0, 1, 6])
def test_a_video_frame_by_frame(runner, in_python, count):
    video = video_of(count)
    found, tubes = in_python(count)
    check_alike(list(runner.windows(video)), found)
    check_alike(list(runner.follow(video)), tubes)
    assert len(tubes) == count and (count < 6 or any(len(one) for one in tubes))


@pytest.mark.long
def test_a_long_video(served, phone, model):
    video = video_of(200)
    found, _ = expected_in(model, video)
    for runner in (served, phone):
        check_alike(list(runner.windows(video)), found)


def answers_of(served, signature, **arguments):
    import tensorflow as tf

    tensors = {name: tf.constant(values) for name, values in arguments.items()}
    return {name: values.numpy() for name, values in served.loaded.signatures[signature](**tensors).items()}


def files_of(frames):
    import tensorflow as tf

    return [tf.io.encode_png(frame).numpy() for frame in frames]


def check_answers(found, expected):
    assert found.keys() == expected.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], atol=1e-4, err_msg=name)


def test_clips_of_any_number_and_size(served):
    """A batch is its clips one by one, files are pixels, and floats are bytes."""
    first, second = (np.stack(video_of(3, seed=seed)) for seed in (1, 2))
    pixels = np.stack([first, second])
    both = answers_of(served, "serving_default", input_tensor=pixels)
    assert both["detection_tubelets"].shape == (2, 6, 3, 4) and (both["detection_tubelets"][..., 2] > 0).any()
    np.testing.assert_array_equal(both["detection_tubelets"][:, :, 1], both["detection_boxes"])
    alone = [answers_of(served, "serving_default", input_tensor=one[None]) for one in pixels]
    check_answers(both, {name: np.concatenate([one[name] for one in alone]) for name in both})
    check_answers(answers_of(served, "float_image", input_tensor=pixels.astype(np.float32)), both)
    larger = np.stack(video_of(3, (50, 30)))
    files = [files_of(first), files_of(larger)]
    apart = [answers_of(served, "serving_default", input_tensor=one[None]) for one in (first, larger)]
    expected = {name: np.concatenate([one[name] for one in apart]) for name in both}
    check_answers(answers_of(served, "image_bytes", image_bytes=files), expected)


def test_whole_videos(served):
    video = video_of(5)
    clips = [np.stack([video[min(max(place + offset, 0), 4)] for offset in (-1, 0, 1)]) for place in range(5)]
    expected = answers_of(served, "serving_default", input_tensor=np.stack(clips))
    check_answers(answers_of(served, "video", input_tensor=np.stack(video)), expected)
    check_answers(answers_of(served, "video_bytes", image_bytes=files_of(video)), expected)


def test_files_one_by_one(served):
    video, state = video_of(3), served.state
    held = {name: np.zeros(shape, dtype) for name, (shape, dtype) in state.arrays.items()}
    pixels = dict(held)
    for frame, file in zip(video, files_of(video)):
        one = answers_of(served, "stream_bytes", image_bytes=[file], **held)
        check_answers(one, answers_of(served, "stream", input_tensor=frame[None], **pixels))
        held = pixels = {name: one[name] for name in held}
    assert held["state_frames"] == 3 and state.behind == 1


def test_frames_of_several_sizes_are_refused(served, runner):
    one, other = video_of(1)[0], video_of(1, (30, 30))[0]
    with pytest.raises(DataError, match=r"frame 1 \(from 0\) has 30x30 pixels, the one before 40x20"):
        list(runner.windows([one, other]))
    with pytest.raises(Exception, match="frames of a clip or a video must be of one size"):
        answers_of(served, "image_bytes", image_bytes=[files_of([one, other, one])])
    with pytest.raises(Exception, match="frames of a clip or a video must be of one size"):
        answers_of(served, "video_bytes", image_bytes=files_of([one, other]))


def test_a_state_of_another_model_or_size_is_refused(served):
    frame = video_of(1)[0][None]
    zeros = {name: np.zeros(shape, dtype) for name, (shape, dtype) in served.state.arrays.items()}
    after = answers_of(served, "stream", input_tensor=frame, **zeros)
    state = {name: after[name] for name in zeros}
    with pytest.raises(Exception, match="The state is of another model than"):
        answers_of(served, "stream", input_tensor=frame, **{**state, "state_model": np.int32([7])})
    with pytest.raises(Exception, match="The frame has another size than the one before"):
        answers_of(served, "stream", input_tensor=frame[:, :9], **state)


def test_what_a_runner_of_clips_is_asked_for(served, phone, model):
    still = video_of(1)[0]
    with pytest.raises(UsageError, match="tells of a frame once later ones are seen"):
        served.step(still)
    with pytest.raises(UsageError, match="takes the frames of a video one by one"):
        phone(still)
    reference = KerasRunner(served.path, Detector(*model))
    check_alike([served(still)], [reference(still)])  # a clip in which nothing moves


def test_what_cannot_be_exported_says_so(model, tmp_path):
    with pytest.raises(UsageError, match=r"quantize 'int8' and decode 'graph' takes single images"):
        export_tflite(model, tmp_path / "a.tflite", quantize="int8", images=video_of(1))
    with pytest.raises(UsageError, match=r"sees several pictures of each.*Export a SavedModel or an ONNX file"):
        export_tflite(clip_model(3, 2), tmp_path / "a.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "frames", "flow", "reduce"),
    [
        ("savedmodel", 1, 0, None),
        *((kind, frames, 0, 5) for kind, frames in (("savedmodel", 4), ("onnx", 2), ("tflite", 2))),
        ("savedmodel", 3, 2, None),
        ("onnx", 1, 2, None),
        *(
            pytest.param(*case, None, marks=pytest.mark.release)
            for case in (
                ("savedmodel", 2, 0),
                *((kind, frames, 0) for kind in ("onnx", "tflite") for frames in (1, 4)),
                ("savedmodel", 1, 2),
                ("onnx", 3, 2),
            )
        ),
    ],
)
def test_other_clips(kind, frames, flow, reduce, tmp_path):
    made, video = clip_model(frames, flow, reduce), video_of(6)
    write = {"savedmodel": export_savedmodel, "onnx": export_onnx, "tflite": export_tflite}[kind]
    name = {"savedmodel": "served", "onnx": "a.onnx", "tflite": "a.tflite"}[kind]
    options = {"max_objects": 6} if kind == "tflite" else {}
    runner = open_runner(write(made, tmp_path / name, **options))
    found, tubes = expected_in(made, video)
    check_alike(list(runner.windows(video)), found)
    check_alike(list(runner.follow(video)), tubes)


@pytest.mark.long
def test_clips_of_any_size_where_the_resolution_is_kept(tmp_path):
    made = clip_model(mode="keep")
    runner = open_runner(export_savedmodel(made, tmp_path / "served"))
    assert runner.state is None and "stream" not in runner.loaded.signatures
    for size in ((20, 40), (44, 28)):
        check_alike(list(runner.windows(video_of(4, size))), expected_in(made, video_of(4, size))[0])


@pytest.mark.long
@pytest.mark.parametrize("options", [{"xla": True}, {"precision": "bfloat16"}])
def test_other_savedmodels(options, model, tmp_path):
    runner = open_runner(export_savedmodel(model, tmp_path / "served", **options))
    video = video_of(4)
    limit = 0.1 if "precision" in options else 1e-4
    for one, other in zip(runner.windows(video), expected_in(model, video)[0]):
        np.testing.assert_allclose(one.scores, other.scores, atol=limit)


@pytest.mark.long
def test_an_onnx_file_takes_clips_of_any_size(model, tmp_path):
    pytest.importorskip("onnxruntime", reason="running ONNX files needs the extra [onnx]")
    pytest.importorskip("tf2onnx", reason="writing ONNX files needs the extra [onnx]")
    runner, video = open_runner(export_onnx(model, tmp_path / "a.onnx")), video_of(5)
    check_alike(list(runner.windows(video)), expected_in(model, video)[0])
    clips = np.random.default_rng(1).uniform(0, 255, (2, 3, 64, 32, 3)).astype(np.float32)
    names = [output.name for output in runner.session.get_outputs()]
    both, first, second = (runner.session.run(names, {"input": one}) for one in (clips, clips[:1], clips[1:]))
    for whole, *parts in zip(both, first, second):
        np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("name", ["served", "a.tflite", "a.onnx"])
def test_the_report_covers_them(model, name, tmp_path):
    write = {"served": export_savedmodel, "a.tflite": export_tflite, "a.onnx": export_onnx}[name]
    save_model(tmp_path / "model.keras", *model)
    write(tmp_path / "model.keras", tmp_path / name)
    check_export(tmp_path / "model.keras", tmp_path / name, "float32", None)
    out = tmp_path / name
    report = out / "parity.json" if out.is_dir() else out.with_suffix(".parity.json")
    results = json.loads(report.read_text())
    assert [one["name"] for one in results] == list(runners_of(tmp_path / name))
    assert all(one["objects"] > 20 and one["matched"] == 1 and one["fields"]["tubelets"] < 0.01 for one in results)


@pytest.mark.long
def test_only_tensorflow_is_needed(folder):
    """A program of its own, without this package, follows a video."""
    program = """
import sys, numpy as np, tensorflow as tf
sys.modules["centernet_tf"] = None
run = tf.saved_model.load(sys.argv[1]).signatures["stream"]
specs = run.structured_input_signature[1]
state = {name: tf.zeros(one.shape, one.dtype) for name, one in specs.items() if name.startswith("state_")}
for number in range(3):
    answers = run(input_tensor=tf.fill((1, 20, 40, 3), tf.constant(90 * number, tf.uint8)), **state)
    state = {name: answers[name] for name in state}
print(int(answers["num_detections"][0]), answers["detection_tubelets"].shape)
"""
    ran = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    count, shape = ran.stdout.split(maxsplit=1)
    assert int(count) > 0 and shape.strip() == "(1, 6, 3, 4)"
