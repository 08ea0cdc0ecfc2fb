import csv
from types import SimpleNamespace

import numpy as np
import pytest

from centernet_tf.config import parse_settings
from centernet_tf.errors import DataError
from centernet_tf.evaluation import Scores
from centernet_tf.model.file import load_model, read_card
from centernet_tf.properties.metric import Score
from centernet_tf.training import callbacks
from centernet_tf.training.callbacks import BEST, LAST, Agree, AveragePrecision, CsvLog, Watch, out_of_patience
from centernet_tf.training.checkpoint import Progress

NAN = float("nan")


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def csv_log(tmp_path):
    log = CsvLog(tmp_path / "log.csv")
    log.set_model(SimpleNamespace(optimizer=SimpleNamespace(learning_rate=np.float32(0.5))))
    return log


def test_processes_agree_on_what_the_first_one_found():
    """As one of several that do not score: the best score and the end of the run come from the first."""
    sent, progress = [], Progress(step=7)
    agree = Agree(lambda numbers: sent.append(numbers) or [0.625, 3.0, 1.0], progress)
    agree.set_model(SimpleNamespace(stop_training=False))
    agree.on_epoch_end(4)
    assert sent == [[-1.0, 0, False]]
    assert progress == Progress(step=7, best=0.625, best_epoch=3) and agree.model.stop_training is True


def test_csv_has_one_row_an_epoch(csv_log):
    csv_log.on_epoch_end(0, {"loss": 2.0})
    assert read(csv_log.path) == [{"epoch": "1", "learning_rate": "0.5", "loss": "2.0"}]
    csv_log.on_epoch_end(1, {"loss": 1.0, "val_AP": 0.25})
    csv_log.on_epoch_end(2)
    assert read(csv_log.path) == [
        {"epoch": "1", "learning_rate": "0.5", "loss": "2.0", "val_AP": ""},
        {"epoch": "2", "learning_rate": "0.5", "loss": "1.0", "val_AP": "0.25"},
        {"epoch": "3", "learning_rate": "0.5", "loss": "", "val_AP": ""},
    ]
    assert [path.name for path in csv_log.path.parent.iterdir()] == ["log.csv"]


def test_csv_replaces_epochs_that_are_done_again(csv_log):
    for epoch in range(4):
        csv_log.on_epoch_end(epoch, {"loss": 10.0 + epoch})
    csv_log.on_epoch_end(2, {"loss": 0.5})
    assert [(row["epoch"], row["loss"]) for row in read(csv_log.path)] == [("1", "10.0"), ("2", "11.0"), ("3", "0.5")]


@pytest.mark.parametrize("loss", [NAN, float("inf"), -float("inf")])
def test_a_loss_that_is_no_number_ends_the_run(loss):
    with pytest.raises(DataError) as error:
        Watch(10, Progress(1)).on_epoch_end(4, {"loss": loss})
    assert str(error.value) == (
        f"The loss became {loss} in epoch 5. Lower train.learning_rate, set train.clip_norm=10 or "
        "train.warmup_steps=500, and check the records with `centernet inspect`."
    )


@pytest.mark.parametrize(
    ("step", "logs", "warned"),
    [
        (100, None, False),
        (100, {}, False),
        (100, {"loss": 1.0, "center_score": 0.3}, False),
        (99, {"loss": 1.0, "center_score": 0.01}, False),
        (100, {"loss": 1.0, "center_score": 0.01}, True),
    ],
)
def test_a_network_that_does_not_take_off(step, logs, warned, recwarn):
    watch = Watch(100, Progress(step))
    watch.on_epoch_end(0, logs)
    watch.on_epoch_end(1, logs)
    assert len(recwarn) == warned, "once is enough"
    if warned:
        text = str(recwarn[0].message)
        assert text.startswith("After 100 steps the heatmap scores 0.010 at the true centres, below the 0.1 it started")
        for remedy in ("train.warmup_steps=200", "train.learning_rate", "weights=", "centernet inspect"):
            assert remedy in text


@pytest.fixture
def scored(monkeypatch, tmp_path, spot_network, spot_card):
    """A function that plays epochs with the given APs and returns (progress, logs of each epoch, what was shown)."""

    def play(scores, every=1, epochs=None, validation="records", progress=None, others=(), patience=None):
        from centernet_tf.detector.detector import Detector

        answers = iter(scores)

        def evaluate(detector, dataset, batch_size):
            assert (dataset, batch_size) == ("records", 8)
            ap = next(answers)
            return Scores(SimpleNamespace(summary={"AP": ap, "AP50": 2 * ap}), None, others)

        monkeypatch.setattr(callbacks, "evaluate", evaluate)
        epochs = epochs or len(scores)
        train = {"epochs": epochs, "patience": patience}
        settings = parse_settings({"data": {"train": "x"}, "train": train, "evaluate": {"every": every}}, "here")
        progress, shown, logs = progress or Progress(), [], [{} for _ in range(epochs)]
        callback = AveragePrecision(
            lambda: Detector(spot_network, spot_card),
            validation,
            settings,
            tmp_path,
            progress,
            lambda epoch, detector: shown.append(epoch),
        )
        callback.set_model(SimpleNamespace(stop_training=False))
        for epoch in range(epochs):
            callback.on_epoch_end(epoch, logs[epoch])
            if callback.model.stop_training:
                break
        return progress, logs, shown

    return play


def about(path):
    return {name: value for name, value in read_card(path).about.items() if name in ("epoch", "AP")}


def test_the_best_model_is_kept_by_ap(scored, tmp_path):
    progress, logs, shown = scored([0.1, 0.3, 0.3, 0.2])
    assert (progress.best, progress.best_epoch) == (0.3, 2)
    assert about(tmp_path / BEST) == {"epoch": 2, "AP": 0.3}
    assert about(tmp_path / LAST) == {"epoch": 4, "AP": 0.2}
    assert logs[1] == {"val_AP": 0.3, "val_AP50": 0.6}
    assert shown == [1, 2, 3, 4]
    assert load_model(tmp_path / BEST)[1].classes == ("red", "green")


def test_scored_every_few_epochs_and_at_the_end(scored):
    progress, logs, shown = scored([0.1, 0.2, 0.3], every=2, epochs=5)
    assert [bool(each) for each in logs] == [False, True, False, True, True]
    assert shown == [2, 4, 5]
    assert progress.best_epoch == 5


@pytest.mark.parametrize(
    ("every", "patience", "scores", "end"),
    [
        (1, 2, [0.1, 0.3, 0.3, 0.2, 0.9], 4),
        (1, 3, [0.1, 0.3, 0.3, 0.2, 0.9], 5),
        (2, 3, [0.3, 0.1, 0.2, 0.9], 6),
        (1, None, [0.3, 0.1, 0.1, 0.1], 4),
    ],
)
def test_a_run_ends_out_of_patience(scored, every, patience, scores, end):
    _, _, shown = scored(scores, every=every, epochs=every * len(scores), patience=patience)
    assert shown[-1] == end


def test_a_run_that_goes_on_asks_for_the_last_score():
    settings = parse_settings(
        {"data": {"train": "x"}, "train": {"epochs": 17, "patience": 7}, "evaluate": {"every": 5}}, "here"
    )
    ends = [epoch for epoch in range(18) if out_of_patience(settings, Progress(1, 0.5, 5), epoch)]
    assert ends == [15, 16, 17]
    assert not any(out_of_patience(settings, Progress(1), epoch) for epoch in range(18))


def test_a_resumed_run_remembers_its_best(scored, tmp_path):
    progress, _, _ = scored([0.2], progress=Progress(best=0.5, best_epoch=9))
    assert (progress.best, progress.best_epoch) == (0.5, 9)
    assert not (tmp_path / BEST).exists()
    assert (tmp_path / LAST).exists()


def test_without_validation_only_the_last_is_kept(scored, tmp_path):
    progress, logs, shown = scored([], epochs=2, validation=None)
    assert progress == Progress()
    assert logs == [{}, {}]
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST]
    assert about(tmp_path / LAST) == {"epoch": 2}
    assert shown == [1, 2]


def test_validation_without_objects_still_keeps_a_model(scored, tmp_path):
    progress, _, _ = scored([NAN, NAN])
    assert (progress.best, progress.best_epoch) == (0.0, 1)
    assert (tmp_path / BEST).exists()


class Hues(Score):
    """A score of a property that nothing in the package knows."""

    main = {"hue AP": 0.7}  # noqa: RUF012


def test_all_that_is_measured_is_logged_and_chooses_as_boxes_do(scored, tmp_path):
    progress, logs, _ = scored([0.3], others=(Hues(), Score()))
    assert logs == [{"val_AP": 0.3, "val_AP50": 0.6, "val_hue_AP": 0.7}] and progress.best == 0.5
    assert read_card(tmp_path / BEST).about["hue AP"] == 0.7
