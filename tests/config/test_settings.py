from pathlib import Path

import pytest

from centernet_tf.config import parse_settings, read_settings, settings_type, write_settings
from centernet_tf.errors import UsageError
from centernet_tf.points.task import TaskSettings
from centernet_tf.tasks import TASKS
from centernet_tf.tasks.detect import Detect
from centernet_tf.tasks.pose import Pose

LEAST = {"data": {"train": "records"}}


@pytest.fixture
def file(tmp_path):
    """A function that writes a settings file."""

    def write(text):
        path = tmp_path / "run.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def least(file):
    return file("data: {train: records}\n")


def complaint(call, *arguments):
    with pytest.raises(UsageError) as error:
        call(*arguments)
    return str(error.value)


def test_the_least_that_can_be_said(least):
    settings = read_settings(least)
    assert settings.task == ("detect",)
    assert settings.data.train == Path("records")
    assert settings.data.validation is None
    assert settings.train.drop_epochs == (90, 120)


def test_nothing_said(file):
    path = file("")
    assert complaint(read_settings, path) == f"{path}: setting 'data' is missing."
    assert complaint(parse_settings, {"data": {}}, "here") == "here: data: setting 'train' is missing."


@pytest.mark.parametrize(
    ("written", "read"), [("detect", ("detect",)), ("[detect]", ("detect",)), ("[pose, detect]", ("pose", "detect"))]
)
def test_one_task_or_several(least, written, read):
    assert read_settings(least, [f"task={written}"]).task == read


def test_only_tasks_that_are_trained_have_settings(least):
    settings = read_settings(least, ["task=[detect, pose]", "pose.classes=[person]"])
    assert settings.tasks == {"detect": Detect(), "pose": Pose(classes=("person",))}
    assert settings.box3d is None
    assert read_settings(least).model_dump().keys() & TASKS.keys() == {"detect"}


def test_a_skeleton_is_written_out(tmp_path, least):
    """So that the settings alone repeat the run, whatever becomes of the file."""
    (tmp_path / "face.yaml").write_text("keypoints: [nose, left, right]\nflip_pairs: [[left, right]]")
    settings = read_settings(least, ["task=pose", f"pose.skeleton={tmp_path / 'face.yaml'}"])
    (tmp_path / "face.yaml").unlink()
    write_settings(settings, tmp_path / "again.yaml")
    again = read_settings(tmp_path / "again.yaml")
    assert again == settings and again.pose.skeleton.flip_pairs == ((1, 2),)


class Hue(TaskSettings):
    shades: int
    wheel: bool = False


def test_a_task_of_the_user_has_its_section(least, monkeypatch):
    monkeypatch.setitem(TASKS, "hue", Hue)
    settings = read_settings(least, ["task=[detect, hue]", "hue.shades=4"])
    assert settings.tasks["hue"] == Hue(shades=4)
    assert complaint(read_settings, least, ["task=hue"]) == f"{least}: hue: setting 'shades' is missing."
    assert complaint(read_settings, least, ["weel=yes"]).startswith(
        f"{least}: unknown setting 'weel'. Did you mean 'hue.wheel'? Known here: task, "
    )
    monkeypatch.delitem(TASKS, "hue")
    assert "Unknown task 'hue'" in complaint(read_settings, least, ["task=hue"])


def test_a_task_must_not_have_the_name_of_a_setting(least, monkeypatch):
    monkeypatch.setitem(TASKS, "train", Hue)
    with pytest.raises(ValueError, match="Task 'train' has the name of a setting"):
        read_settings(least)


def test_settings_cannot_change(least):
    settings = read_settings(least)
    with pytest.raises(ValueError, match="frozen"):
        settings.max_objects = 5
    with pytest.raises(ValueError, match="frozen"):
        settings.data.train = Path("other")


def test_written_settings_read_the_same(tmp_path, least):
    settings = read_settings(
        least,
        ["task=[detect]", "data.validation=val", "classes=[cat, dog]", "train.learning_rate=1e-4", "weights=a.keras"],
    )
    write_settings(settings, tmp_path / "again.yaml")
    assert read_settings(tmp_path / "again.yaml") == settings


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"data": {"train": "records", "flipp": 1}},
            "here: data: unknown setting 'flipp'. Did you mean 'augment.flip'? "
            "Known here: train, validation, size, mean, std, order, fill, resample, device_warp, workers, shuffle.",
        ),
        (
            {**LEAST, "augment": {"flipp": 1}},
            "here: augment: unknown setting 'flipp'. Did you mean 'flip'? "
            "Known here: crop, crop_scales, shift, scale, jitter_probability, shift_each_side, rotate, "
            "rotate_probability, flip, brightness, contrast, saturation, lighting, "
            "geometry, shear, scales, hsv_saturation, hsv_value, "
            "expand, expand_probability, expand_place, distort_probability, distort_brightness, distort_factors, "
            "distort_hue, mosaic, mixup, copy_paste, erase, erase_area, multi_scale, close_last.",
        ),
        (
            {**LEAST, "backbon": "resnet18"},
            "here: unknown setting 'backbon'. Did you mean 'backbone'? Known here: "
            "task, backbone, head_channels, classes, weights, max_objects, class_specific_size, "
            "ltrb, iou_aware, data, augment, loss, train, evaluate, detect, pose, box3d, track, reid, action, mask, "
            "hoi.",
        ),
        (
            {**LEAST, "task": "detekt"},
            "here: task is 'detekt': Unknown task 'detekt'. Did you mean 'detect'? "
            "Known: action, box3d, detect, hoi, mask, pose, reid, track.",
        ),
        ({**LEAST, "task": []}, "here: task is []: Tasks []: name at least one, and each only once."),
        ({**LEAST, "task": [["pose"]]}, "here: task: value 1 is ['pose']: Input should be a valid string."),
        (
            {**LEAST, "pose": {}},
            "here: pose: settings of a task that is not trained; this run trains detect. "
            "Leave them out, or add it: task: [detect, pose].",
        ),
        (
            {**LEAST, "amodal_ofset": True},
            "here: unknown setting 'amodal_ofset'. Did you mean 'box3d.amodal_offset'? Known here: task, backbone, "
            "head_channels, classes, weights, max_objects, class_specific_size, ltrb, iou_aware, data, augment, loss, "
            "train, evaluate, detect, pose, box3d, track, reid, action, mask, hoi.",
        ),
        (
            {**LEAST, "task": "pose", "pose": {"clases": ["a"]}},
            "here: pose: unknown setting 'clases'. Did you mean 'classes'? "
            "Known here: skeleton, classes, peak_threshold, peak_reach.",
        ),
        (
            {**LEAST, "task": "pose", "pose": None},
            "here: pose is None: expected a section, pose: {name: value}, or no such line. "
            "Known there: skeleton, classes, peak_threshold, peak_reach.",
        ),
        (
            {**LEAST, "detect": {"size": 1}},
            "here: detect: unknown setting 'size'. Did you mean 'data.size'? Known here: none.",
        ),
        (
            {**LEAST, "task": "pose", "pose": {"skeleton": "none.yaml"}},
            "here: pose: skeleton is 'none.yaml': none.yaml: No such file or directory. "
            "Give a YAML file such as `keypoints: [nose, left_eye, right_eye]`.",
        ),
        (
            {**LEAST, "task": "pose", "pose": {"classes": []}},
            "here: pose: classes is []: no object would have keypoints. Name classes, or leave it out for all.",
        ),
        (
            {**LEAST, "task": "box3d", "box3d": {"camera": [[1]]}},
            "here: box3d: camera is [[1]]: A camera is 3x4 (or 3x3) finite numbers, such as P2 of KITTI; got [[1]].",
        ),
        (
            {**LEAST, "train": {"epochs": 0}},
            "here: train: epochs is 0: Input should be 'auto' or greater than 0.",
        ),
        (
            {**LEAST, "train": {"epochs": "many"}},
            "here: train: epochs is 'many': Input should be 'auto' or a valid integer, unable to parse string as an "
            "integer.",
        ),
        (
            {**LEAST, "loss": {"weights": {"size": 1, "depth": -1}}},
            "here: loss: weights.depth is -1: Input should be greater than or equal to 0.",
        ),
        (
            {"data": {"train": "records", "mean": [123.675, 0.4, 0.4]}},
            "here: data: mean: value 1 is 123.675: Input should be less than or equal to 1.",
        ),
        (
            {**LEAST, "train": {"optimizer": "lion"}},
            "here: train: optimizer is 'lion': Input should be 'adam', 'adamw' or 'sgd'.",
        ),
        (
            {**LEAST, "augment": {"flip": 1.5}},
            "here: augment: flip is 1.5: Input should be less than or equal to 1.",
        ),
        (
            {**LEAST, "augment": None},
            "here: augment is None: expected a section, augment: {name: value}, or no such line. "
            "Known there: crop, crop_scales, shift, scale, jitter_probability, shift_each_side, rotate, "
            "rotate_probability, flip, brightness, contrast, saturation, lighting, "
            "geometry, shear, scales, hsv_saturation, hsv_value, "
            "expand, expand_probability, expand_place, distort_probability, distort_brightness, distort_factors, "
            "distort_hue, mosaic, mixup, copy_paste, erase, erase_area, multi_scale, close_last.",
        ),
        (
            {"data": "records"},
            "here: data is 'records': expected a section, data: {name: value}, or no such line. "
            "Known there: train, validation, size, mean, std, order, fill, resample, device_warp, workers, shuffle.",
        ),
        (
            {"data": {"train": "records", "size": [64, 0]}},
            "here: data: size: value 2 is 0: Input should be greater than 0.",
        ),
        (
            {**LEAST, "train": {"learning_rate": "fast"}},
            "here: train: learning_rate is 'fast': Input should be 'auto' or 'scratch' or a valid number, "
            "unable to parse string as a number.",
        ),
        (
            {"data": {"train": "records", "size": 64}},
            "here: data: size is 64: Input should be 'auto' or a valid tuple.",
        ),
    ],
)
def test_what_is_refused(content, text):
    assert complaint(parse_settings, content, "here") == text


def test_every_problem_is_told_at_once():
    content = {"data": {"train": "records", "sise": 1}, "train": {"epochs": 0}}
    assert [line.split(" ")[1] for line in complaint(parse_settings, content, "here").split("\n")] == [
        "data:",
        "train:",
    ]


@pytest.mark.parametrize("changes", [["train.epochs=-1"], ["evaluate.every=0"], ["train.learning_rate=fast"]])
def test_refused_changes_name_the_file(least, changes):
    assert complaint(read_settings, least, changes).startswith(f"{least}: {changes[0].split('.')[0]}: ")


@pytest.mark.parametrize(
    ("change", "where", "value"),
    [
        ("backbone=resnet18_dcn", "backbone", "resnet18_dcn"),
        ("train.epochs=3", "train.epochs", 3),
        ("train.learning_rate=1e-4", "train.learning_rate", 1e-4),
        ("train.learning_rate=0.001", "train.learning_rate", 0.001),
        ("train.learning_rate=auto", "train.learning_rate", "auto"),
        ("data.size=[128, 256]", "data.size", (128, 256)),
        ("train.drop_epochs=[]", "train.drop_epochs", ()),
        ("train.clip_norm=null", "train.clip_norm", None),
        ("data.device_warp=true", "data.device_warp", True),
        ("train.xla=false", "train.xla", False),
        ("classes=[cat, wild dog]", "classes", ("cat", "wild dog")),
        ("data.train=a=b", "data.train", Path("a=b")),
        (" train.seed = 5 ", "train.seed", 5),
        ("data={train: other}", "data.train", Path("other")),
        ("loss.ignore_crowd=yes", "loss.ignore_crowd", True),
    ],
)
def test_changes_from_the_command_line(least, change, where, value):
    found = read_settings(least, [change])
    for name in where.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value) or isinstance(value, Path)


@pytest.mark.parametrize(
    ("text", "epochs", "weights"),
    [
        ("data.train: records\ntrain.epochs: 3", 3, {}),
        ("data: {train: records}\ntrain: {seed: 1}\ntrain.epochs: 3\nloss.weights.size: 2", 3, {"size": 2}),
        ("data: {train: records}\nloss: {weights: {size: 1}}\nloss.weights.iou: 2", 140, {"size": 1, "iou": 2}),
        ("data: {train: records}\ntrain:\ntrain.epochs: 3", 3, {}),
        ("data: {train: records}\ntrain.epochs: 3\nloss.weights: {iou: 2}", 3, {"iou": 2}),
    ],
)
def test_files_may_name_settings_as_the_command_line_does(file, text, epochs, weights):
    settings = read_settings(file(text))
    assert settings.data.train == Path("records")
    assert (settings.train.epochs, settings.loss.weights) == (epochs, weights)
    assert read_settings(file(text), ["train.epochs=5"]).train.epochs == 5


def test_a_section_that_is_meant_twice_stays_what_it_is():
    content = {"data": {"train": "records"}, "augment": (shared := {"flip": 0.0}), "augment.scale": 0.1}
    assert parse_settings(content, "here").augment.scale == 0.1
    assert shared == {"flip": 0.0}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            {"data": {"train": "a"}, "data.train": "b"},
            "here: data.train is given twice, in its section, too. Leave one of them out.",
        ),
        ({**LEAST, "train": 3, "train.epochs": 3}, "here: 'train' is not a section."),
        ({**LEAST, "data.train.deep": 3}, "here: 'train' is not a section."),
        (
            {**LEAST, "train.epoch": 3},
            "here: train: unknown setting 'epoch'. Did you mean 'epochs'? Known here: epochs",
        ),
        ({**LEAST, "tarin.epochs": 3}, "here: unknown setting 'tarin'. Did you mean 'train'? Known here: task"),
        ({**LEAST, ".": 3}, "here: unknown setting ''. Known here: task"),
        ({**LEAST, "train.epochs": 0}, "here: train: epochs is 0: Input should be 'auto' or greater than 0."),
    ],
)
def test_whole_names_that_are_refused(content, text):
    assert complaint(parse_settings, content, "here").startswith(text)


def test_later_changes_win(least):
    assert read_settings(least, ["train.epochs=3", "train.epochs=4"]).train.epochs == 4


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("train.epochs", "--set 'train.epochs': expected name=value, for example --set train.epochs=10."),
        ("data.train.deep=1", "--set 'data.train.deep=1': 'train' is not a section."),
        ("train.epochs=[1", "--set 'train.epochs=[1': the value is not readable as YAML"),
    ],
)
def test_changes_that_cannot_be_read(least, change, text):
    assert complaint(read_settings, least, [change]).startswith(text)


def test_an_empty_section_may_be_filled_from_the_command_line(file):
    path = file("data: {train: records}\ntrain:\n")
    assert "train is None: expected a section" in complaint(read_settings, path)
    assert read_settings(path, ["train.epochs=3"]).train.epochs == 3


def test_anchors_and_merges_still_work(file):
    path = file("data: &all {train: records}\ntrain: {epochs: 2}\naugment: {flip: &half 0.25, scale: *half}\n")
    assert read_settings(path).augment.scale == 0.25
    assert read_settings(path, ["data={<<: {train: other}, shuffle: 3}"]).data.train == Path("other")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: [1", "not readable as YAML (while parsing a flow sequence"),
        ("data: {train: !!python/object:os.system x}", "not readable as YAML (could not determine a constructor"),
        (
            "data: {train: a}\ntrain: {epochs: 1}\ntrain: {seed: 2}\n",
            "not readable as YAML ('train' is given twice",
        ),
        ("data: {train: a, train: b}\n", "not readable as YAML ('train' is given twice"),
        ("- a\n- b\n", "expected settings such as 'task: detect', got ['a', 'b']."),
        ("hello\n", "expected settings such as 'task: detect', got 'hello'."),
    ],
)
def test_files_that_are_no_settings(file, text, said):
    path = file(text)
    assert complaint(read_settings, path).startswith(f"{path}: {said}")


def test_missing_files(tmp_path):
    missing = tmp_path / "nothing.yaml"
    assert complaint(read_settings, missing) == f"{missing}: no such file. `centernet init` writes one."
    assert complaint(read_settings, tmp_path).startswith(f"{tmp_path}: not readable as YAML (")
    picture = tmp_path / "picture.yaml"
    picture.write_bytes(b"\xff\xd8\xff\xe0")
    assert complaint(read_settings, picture).startswith(f"{picture}: not readable as YAML (")


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ([], 1.25e-4),
        (["train.batch_size=128"], 5e-4),
        (["train.batch_size=8", "train.accumulate=4"], 1.25e-4),
        (["train.batch_size=8"], 3.125e-5),
        (["train.batch_size=8", "train.learning_rate=1e-3"], 1e-3),
        (["train.batch_size=8", "train.learning_rate=scratch"], 5e-4),
        (["train.batch_size=16", "train.accumulate=2", "train.learning_rate=scratch"], 1e-3),
    ],
)
def test_learning_rate_grows_with_the_batch(least, changes, rate):
    assert read_settings(least, changes).learning_rate() == pytest.approx(rate)


def test_every_section_has_defaults_but_the_data():
    settings = settings_type().model_validate(LEAST)
    assert settings == parse_settings(LEAST, "here")
    assert settings.model_dump(mode="json")["data"]["train"] == "records"
