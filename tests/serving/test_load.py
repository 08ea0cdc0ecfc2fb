"""The load test itself: it passes a good server, and tells of one that mixes answers up or falls over invalid files."""

import io
import threading

import numpy as np
import pytest
from PIL import Image

from centernet_tf.errors import UsageError
from centernet_tf.serving import load
from centernet_tf.serving.client import RestClient, ServerError
from centernet_tf.serving.load import run_load, samples_of


@pytest.fixture
def files(draw_spots):
    def jpeg(image) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "jpeg")
        return buffer.getvalue()

    return {"a.jpg": jpeg(draw_spots(64, 64, (20, 30, 0))), "b.jpg": jpeg(draw_spots(200, 100, (50, 60, 1)))}


def echo(files):
    """Answers with a score made from the file's length."""
    if any(not data.startswith(b"\xff\xd8") or not data.endswith(b"\xff\xd9") for data in files):
        raise ServerError("no image", 400)
    return {"detection_scores": [[len(data) / 1e4] for data in files]}


def test_a_real_server(rest_server, files):
    ask = RestClient(f"http://127.0.0.1:{rest_server.server_port}", "spots", ()).ask
    found = run_load(ask, samples_of(ask, files, wrong=3), requests=60, clients=8)
    summary = found.summary()
    assert not found.faults
    assert (summary["answered"], summary["refused"]) == (40, 20)
    assert 0 < summary["p50_ms"] <= summary["p95_ms"] <= summary["p99_ms"]
    assert summary["requests_per_second"] == pytest.approx(60 / found.seconds, rel=0.01)


def test_mixed_up_answers_are_faults(files):
    sizes = sorted(files.values(), key=len)
    mixed = lambda data: echo([sizes[0]])  # noqa: E731
    found = run_load(mixed, samples_of(echo, files, wrong=0), requests=10, clients=2)
    assert [name for name, _ in found.faults] == [next(n for n in files if files[n] is sizes[1])] * 5
    assert "away from those asked for alone" in found.faults[0][1]


@pytest.mark.parametrize("status", [500, None])
def test_a_server_that_falls_over_wrong_files(files, status):
    def falls(data):
        try:
            return echo(data)
        except ServerError as error:
            raise ServerError("fell", status) from error

    found = run_load(falls, samples_of(echo, files, wrong=2), requests=12, clients=3)
    assert len(found.latencies) == 6 and {fault for _, fault in found.faults} == {"fell"}


def test_wrong_files_that_are_answered(files):
    lenient = lambda data: {"detection_scores": [[len(one) / 1e4] for one in data]}  # noqa: E731
    found = run_load(lenient, samples_of(echo, files, wrong=2), requests=12, clients=3)
    assert [fault for _, fault in found.faults] == ["answered, although it is not an image"] * 6


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({}, "KeyError: 'detection_scores'"),
        ({"detection_scores": []}, "IndexError: "),
        ({"detection_scores": [[1, 2]]}, "(2,) scores, but (1,) when asked for alone"),
        ({"detection_scores": [[float("nan")]]}, "scores are nan away"),
        (SystemExit("gone"), "SystemExit: gone"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_what_no_server_answers_is_a_fault(answer, said, files):
    def odd(data):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    found = run_load(odd, samples_of(echo, files, wrong=0), requests=7, clients=3)
    assert (found.summary()["answered"], found.refused, len(found.faults)) == (0, 0, 7)
    assert all(said in fault for _, fault in found.faults)


def test_empty_answers_are_equal():
    nothing = {"detection_scores": np.zeros((1, 0))}
    samples = samples_of(lambda data: nothing, {"a.jpg": b""}, wrong=0)
    assert len(run_load(lambda data: nothing, samples, requests=3, clients=2).latencies) == 3


def test_threads_that_cannot_be_are_told(files, monkeypatch):
    start, started = threading.Thread.start, []

    def few(self):
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    samples = samples_of(echo, files, wrong=0)
    monkeypatch.setattr(threading.Thread, "start", few)
    with pytest.raises(UsageError, match=r"only 2 of 5 clients can be started \(can't start new thread\)\. Use fewer"):
        run_load(echo, samples, requests=10**9, clients=5)
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.parametrize("options", [{"requests": 0}, {"clients": 0}, {"clients": -1}])
def test_nothing_to_do_is_no_success(options, files):
    with pytest.raises(UsageError, match="expected at least one of each"):
        run_load(echo, samples_of(echo, files), **options)
    with pytest.raises(UsageError, match="0 files"):
        run_load(echo, [])


def test_program(rest_server, files, tmp_path, capsys):
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    address = f"http://127.0.0.1:{rest_server.server_port}"
    assert load.main([address, "spots", str(tmp_path), "--requests", "20", "--clients", "4"]) == 0
    assert '"refused": 2' in capsys.readouterr().out


@pytest.mark.parametrize("name", ["spots", "spot"])
def test_program_tells_what_is_wrong(rest_server, files, name, tmp_path, capsys):
    (tmp_path / "a.jpg").write_bytes(files["a.jpg"])
    address = "http://127.0.0.1:9" if name == "spots" else f"http://127.0.0.1:{rest_server.server_port}"
    with pytest.raises(SystemExit) as ended:
        load.main([address, name, str(tmp_path)])
    assert ended.value.code == 2
    assert ("does not answer" if name == "spots" else "404") in capsys.readouterr().err


def test_summary_without_an_answer():
    assert np.isnan(load.Load(seconds=1.0).summary()["p50_ms"])
