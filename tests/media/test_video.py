"""Frames come out as they went in, and what is no video is named."""

import functools
import http.server
import os
import threading

import cv2
import numpy as np
import pytest

from centernet_tf.errors import DataError
from centernet_tf.media import h264
from centernet_tf.media.video import RATE, VideoReader, VideoWriter, told_codec


@pytest.fixture(params=["H.264", "MPEG-4"])
def codec(request, monkeypatch):
    """What videos are written as."""
    if request.param == "H.264":
        pytest.importorskip("av", reason="H.264 needs PyAV, extra video")
        assert h264.encoder()
    else:
        monkeypatch.setattr(h264, "encoder", lambda: None)
    return request.param


def code(path):
    """Four letters that a file names its codec by."""
    number = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FOURCC))
    return number.to_bytes(4, "little").decode()


def frames(count=6, width=64, height=48):
    """Frames that get brighter, their left half red; each [H, W, 3] uint8."""
    images = np.zeros((count, height, width, 3), np.uint8)
    images[:, :, : width // 2, 0] = 100 + 20 * np.arange(count)[:, None, None]
    return images


def write(path, images, rate=12.5):
    writer = VideoWriter(path, rate, images.shape[2:0:-1])
    for image in images:
        writer.write(image)
    writer.close()
    return path


@pytest.mark.parametrize("count", [1, 6])
def test_frames_come_back(tmp_path, count, codec):
    images = frames(count)
    reader = VideoReader(write(tmp_path / "new" / "clip.mp4", images))
    assert code(tmp_path / "new" / "clip.mp4") == {"H.264": "h264", "MPEG-4": "FMP4"}[codec]
    assert told_codec().startswith(codec)
    assert (reader.rate, reader.frames, reader.live) == (12.5, count, False)
    found = list(reader)
    reader.close()
    assert [frame.number for frame in found] == list(range(count))
    np.testing.assert_allclose([frame.time for frame in found], np.arange(count) / 12.5, atol=1e-3)
    for frame, image in zip(found, images):
        assert frame.image.shape == image.shape
        assert np.abs(frame.image.astype(int) - image)[:, 8:24].mean() < 12


@pytest.mark.parametrize(("width", "height"), [(63, 47), (1, 1), (2, 600)])
def test_odd_sides_lose_nothing(tmp_path, codec, width, height):
    found = list(VideoReader(write(tmp_path / "odd.mp4", frames(3, width, height))))
    assert [frame.image.shape for frame in found] == [(height + height % 2, width + width % 2, 3)] * 3


@pytest.mark.parametrize("rate", [0.1, 23.976, 30000 / 1001, 480.0])
def test_rates_come_back(tmp_path, codec, rate):
    assert VideoReader(write(tmp_path / "clip.mp4", frames(3, 16, 16), rate)).rate == pytest.approx(rate, rel=1e-4)


def test_browsers_begin_before_they_have_all(tmp_path):
    """The index of an H.264 video comes before its frames."""
    pytest.importorskip("av", reason="H.264 needs PyAV, extra video")
    content = write(tmp_path / "clip.mp4", frames()).read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov", ".webm"])
def test_other_containers_are_read(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    codec = "VP80" if suffix == ".webm" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {suffix}")
    for image in frames(4):
        writer.write(image[..., ::-1].copy())
    writer.release()
    found = list(VideoReader(path))
    np.testing.assert_allclose([frame.time for frame in found], [0, 0.1, 0.2, 0.3], atol=1e-3)


@pytest.mark.parametrize("data", [b"", b"no video at all" * 50])
def test_files_that_are_no_video(tmp_path, data):
    path = tmp_path / "odd.mp4"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"odd\.mp4: not a video that can be read"):
        VideoReader(path)


class Camera:
    """Stands for a webcam with so many images."""

    def __init__(self, images, rate=0.0):
        self.left, self.rate = images, rate

    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((48, 64, 3), np.uint8)

    def get(self, what):
        return self.rate if what == cv2.CAP_PROP_FPS else -1.0

    def release(self):
        self.left = 0


@pytest.mark.parametrize(("rate", "taken"), [(0.0, RATE), (float("nan"), RATE), (1000.0, RATE), (30.0, 30.0)])
def test_webcam(monkeypatch, rate, taken):
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: Camera(3, rate))
    reader = VideoReader(1)
    assert (reader.name, reader.rate, reader.frames, reader.live) == ("webcam:1", taken, None, True)
    times = [frame.time for frame in reader]
    assert len(times) == 3
    assert 0 <= times[0] <= times[1] <= times[2]


def test_webcam_that_is_not_there(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: Camera(0))
    with pytest.raises(DataError, match="webcam:0: the webcam gives no image"):
        VideoReader(0)


def test_unknown_codec_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(h264, "encoder", lambda: None)
    monkeypatch.setattr("centernet_tf.media.video.CODEC", "none")
    with pytest.raises(DataError, match=r"clip\.mp4: OpenCV cannot write a none video of 64x48 pixels here"):
        VideoWriter(tmp_path / "clip.mp4", 10, (64, 48))
    assert not list(tmp_path.iterdir())


def test_no_file_under_its_name_before_it_is_whole(tmp_path, codec):
    writer = VideoWriter(tmp_path / "clip.mp4", 10, (64, 48))
    writer.write(frames()[0])
    assert not (tmp_path / "clip.mp4").exists()
    writer.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [0, 1000, 20_000])
def test_a_full_disk_is_told_and_leaves_the_older_video(size, tmp_path, small_disk, codec):
    path = write(tmp_path / "clip.mp4", frames())
    before = path.read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), np.uint8)
    said = r"only \d+ of 30 frames .* Is the disk full" if size else "Is the folder writable, the disk not full"
    said = "cannot be written" if codec == "H.264" else said
    with small_disk(size), pytest.raises(DataError, match=rf"clip\.mp4: .*{said}"):
        write(path, noise)
    assert list(tmp_path.iterdir()) == [path] and path.read_bytes() == before
    write(path, noise)
    assert len(list(VideoReader(path))) == 30


def test_pipes_hold_no_video(tmp_path):
    os.mkfifo(tmp_path / "clip.mp4")
    with pytest.raises(DataError, match=r"clip\.mp4: is a device or a pipe"):
        VideoWriter(tmp_path / "clip.mp4", 10, (64, 48))


def test_frames_of_another_size_are_an_error(tmp_path, codec):
    writer = VideoWriter(tmp_path / "clip.mp4", 10, (64, 48))
    with pytest.raises(DataError, match="a frame has 32x48 pixels, but the video began with 64x48"):
        writer.write(frames(1, 32)[0])
    writer.discard()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def test_a_video_over_http(tmp_path):
    write(tmp_path / "clip.mp4", frames())
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    reader = VideoReader(f"{address}/clip.mp4")
    assert (reader.name, reader.frames, reader.live) == (f"{address}/clip.mp4", 6, False)
    assert len(list(reader)) == 6
    reader.close()
    with pytest.raises(DataError, match=rf"{address}/none\.mp4: nothing answers there"):
        VideoReader(f"{address}/none.mp4")
    server.shutdown()
    server.server_close()


def test_a_name_that_is_not_utf8_does_not_end_the_program(tmp_path):
    path = tmp_path / "caf\udce9.mp4"
    write(tmp_path / "a.mp4", frames(3)).rename(path)
    reader = VideoReader(path)
    assert len(list(reader)) == 3 and reader.name.endswith("caf\\xe9.mp4")
    reader.close()
    (tmp_path / "b\udce9.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"b\\xe9.mp4: not a video"):
        VideoReader(tmp_path / "b\udce9.mp4")
    with pytest.raises(DataError, match="a place whose name is UTF-8"):
        VideoWriter(path, 10, (64, 48))
