"""Exported models that track: the state goes in with a frame and comes out; identities are the Python tracker's."""

import functools

import numpy as np
import pytest

from centernet_tf.datasets.drawn import film
from centernet_tf.detector.detector import Detector
from centernet_tf.errors import DataError, UsageError
from centernet_tf.exports.carried import Carried, State
from centernet_tf.exports.onnx import export_onnx
from centernet_tf.exports.runners import clipped, open_runner
from centernet_tf.exports.savedmodel import export_savedmodel
from centernet_tf.exports.tflite import export_tflite
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

SIZE = (64, 96)
FRAMES = 20


def frames_of(count, size=SIZE):
    split = film.read(1, size, split="val", film=film.Film(frames=count, objects=(5, 8)))
    return [item.source for item in split.items]


def tracking_model(spread_maps, **settings):
    """A network whose maps are noise: objects come, go and move from frame to frame."""
    plain = InputCard(height=SIZE[0], width=SIZE[1], stride=4, mean=(0.4,) * 3, std=(0.3,) * 3, order="bgr")
    card = ModelCard(
        tasks={"track": settings}, backbone="tiny", classes=("a", "b"), max_objects=12, input=plain, head_channels=8
    )
    tasks = card.task_set()
    return spread_maps(build_network("tiny", tasks.heads, tasks.inputs, 8), SIZE), card


# They change what is remembered.
SETTINGS = [
    {},
    *(pytest.param(one, marks=pytest.mark.long) for one in ({"max_age": 4, "birth": 0.5}, {"prior": False})),
]


@pytest.fixture(scope="module")
def written(spread_maps, tmp_path_factory):
    """A function from settings to the detector, and its SavedModel and TFLite file as runners; each is made once."""

    @functools.cache
    def make(**settings):
        folder, model = tmp_path_factory.mktemp("written"), tracking_model(spread_maps, **settings)
        served = open_runner(export_savedmodel(model, folder / "served"))
        return Detector(*model), served, open_runner(export_tflite(model, folder / "phone.tflite"))

    return make


def assert_same(runner, detector, frames):
    """Both trackers over the same frames; how many identities there were."""
    tracker, ids = detector.tracker(), set()
    for number, frame in enumerate(frames):
        expected, found = clipped(tracker.step(frame), runner.window(frame)), runner.step(frame)
        assert found.fields["track_ids"].tolist() == expected.fields["track_ids"].tolist(), number
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
        ids |= set(expected.fields["track_ids"].tolist())
    return ids


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_savedmodel_tells_the_same_identities(settings, written):
    tracked, runner, _ = written(**settings)
    ids = assert_same(runner, tracked, frames_of(FRAMES, (90, 120)))
    assert len(ids) > 3, "objects must be born on the way"
    runner.reset()
    assert_same(runner, tracked, frames_of(3))


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_tflite_file_tells_the_same_identities(settings, written):
    tracked, _, runner = written(**settings)
    assert runner.limit == 12
    assert len(assert_same(runner, tracked, frames_of(FRAMES, (90, 120)))) > 3


@pytest.fixture
def runners(written):
    """The same model as a SavedModel and as a TFLite file."""
    _, *both = written()
    return both


def test_a_state_is_kept_and_restored(runners):
    frames = frames_of(4)
    for runner in runners:
        runner.reset()
        whole = [runner.step(frame).fields["track_ids"].tolist() for frame in frames]
        runner.reset()
        for frame in frames[:2]:
            runner.step(frame)
        state = runner.carried.state
        runner.reset()
        runner.carried.restore(state)
        assert [runner.step(frame).fields["track_ids"].tolist() for frame in frames[2:]] == whole[2:]


def test_a_state_of_another_model_or_size_is_refused(runners):
    for runner in runners:
        runner.reset()
        runner.step(frames_of(1)[0])
        state = runner.carried.state
        with pytest.raises(UsageError, match=r"a state of model 7; this one is \d+"):
            runner.carried.restore({**state, "state_model": np.int32([7])})
        with pytest.raises(UsageError, match=r"a state has \(1, 5, 4\) float32 for state_boxes; expected \(1, 12, 4\)"):
            runner.carried.restore({**state, "state_boxes": np.zeros((1, 5, 4), np.float32)})
        with pytest.raises(UsageError, match="a state has nothing for state_ids"):
            runner.carried.restore({name: value for name, value in state.items() if name != "state_ids"})
        with pytest.raises(UsageError, match="a state has nothing for state_previous, the last frame"):
            runner.carried.restore({name: value for name, value in state.items() if name != "state_previous"})


@pytest.mark.parametrize("value", [None, [["a"]], [[1, 2], [3]], [[float("nan")] * 2], [[1, 2, 3]]])
def test_a_state_that_comes_out_damaged_is_told(value):
    carried = Carried(State(5, {"state_ids": ((1, 2), "int32")}, False), "the server")
    with pytest.raises(DataError, match=r"the server: state_ids comes out as .*; expected \(1, 2\) int32"):
        carried.take({} if value is None else {"state_ids": value}, None)
    assert carried.take({"state_ids": [[3, 4]], "a": 1}, None) == {"a": 1}
    assert carried.state["state_ids"].tolist() == [[3, 4]]


def test_the_savedmodel_itself_refuses_them(runners):
    served, frame = runners[0], frames_of(1)[0][None]
    state = served.carried.arguments(frame) | {"state_frames": np.int32([3])}
    with pytest.raises(Exception, match="The state is of another model than"):
        served.run(frame, {**state, "state_model": np.int32([7])})
    model = np.int32([served.carried._state.model])
    with pytest.raises(Exception, match="The frame has another size than the one before"):
        served.run(frame, {**state, "state_model": model, "state_previous": frame[:, :50]})


def test_frames_of_two_sizes(runners):
    runners[0].reset()
    runners[0].step(frames_of(1)[0])
    with pytest.raises(DataError, match="a frame has 120x90 pixels, the one before 96x64"):
        runners[0].step(frames_of(1, (90, 120))[0])


def test_files_are_frames_too(runners):
    """The signature for files, with the state in the hands of the caller."""
    import tensorflow as tf

    served = runners[0]
    served.reset()
    run = served.loaded.signatures["track_bytes"]
    state = {name: tf.constant(value) for name, value in served.carried.state.items()}
    files = [tf.io.encode_png(frame)[None] for frame in frames_of(5)]
    state["state_previous_bytes"] = tf.constant([b""])
    for file, frame in zip(files, frames_of(5)):
        answers = run(image_bytes=file, **state)
        state = {name: value for name, value in answers.items() if name.startswith("state_")}
        expected = served.step(frame)
        count = int(answers["num_detections"][0])
        assert answers["detection_track_ids"][0, :count].numpy().tolist() == expected.fields["track_ids"].tolist()


def test_what_cannot_be_exported_says_so(spread_maps, tmp_path):
    made = tracking_model(spread_maps)
    with pytest.raises(UsageError, match="an ONNX file takes single images"):
        export_onnx(made, tmp_path / "a.onnx")
    with pytest.raises(UsageError, match=r"decode 'none' takes single images"):
        export_tflite(made, tmp_path / "a.tflite", decode="none")
    with pytest.raises(UsageError, match="settings that only the host knows"):
        export_savedmodel(tracking_model(spread_maps, hungarian=True), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_single_images_are_no_video(exported):
    runner = open_runner(exported("spots", "savedmodel"))
    runner.reset()
    with pytest.raises(UsageError, match="takes single images"):
        runner.step(frames_of(1)[0])
