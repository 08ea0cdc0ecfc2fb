"""Engines: what Ray is told, and that a worker which is killed half-way loses and repeats nothing."""

import functools
import os
import signal
import sys
from pathlib import Path

import pytest

from centernet_tf.cli.detect import read_extras
from centernet_tf.cli.search import load_detector
from centernet_tf.errors import DataError
from centernet_tf.media.draw import save_image
from centernet_tf.shards.block import Job
from centernet_tf.shards.engines import ENGINES, THREADS, options_of
from centernet_tf.shards.run import begun


@pytest.mark.parametrize(
    ("workers", "there", "cpus", "gpus", "threads"),
    [
        (1, {"CPU": 8}, 1, 0, "8"),
        (2, {"CPU": 8}, 1, 0, "4"),
        (3, {"CPU": 8, "GPU": 4}, 1, 1, "2"),
        (8, {"CPU": 8, "GPU": 2}, 1, 0.25, "1"),
        (3, {"CPU": 2}, 0.66, 0, "1"),
        (2, {}, 0.5, 0, "1"),
    ],
)
def test_cores_are_divided_among_workers(workers, there, cpus, gpus, threads):
    options = options_of(workers, there)
    assert (options["num_cpus"], options["num_gpus"]) == (cpus, gpus)
    assert {options["runtime_env"]["env_vars"][name] for name in THREADS} == {threads}


@pytest.mark.parametrize("name", ENGINES)
def test_nothing_to_do_needs_no_worker(name):
    for module, _ in ENGINES[name].needs:
        pytest.importorskip(module)
    assert list(ENGINES[name].run(None, [], 2)) == []


@pytest.fixture
def job(tmp_path, spot_model, draw_spots, monkeypatch):
    """48 images in blocks of 4, and what a worker is told of them."""
    for number in range(48):
        save_image(tmp_path / "in" / f"{number:02d}.png", draw_spots(96, 64, (20 + number, 40, number % 2)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    load = functools.partial(load_detector, spot_model)
    read = functools.partial(read_extras, files={})
    return Job((tmp_path / "out").resolve(), "jsonl", tmp_path, load, read, 0.3, 2, skip_bad=False)


def workers():
    """Process ids of Ray's workers that search."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::Searcher"):
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")
def test_a_worker_that_is_killed_half_way(job, tmp_path):
    pytest.importorskip("ray", reason="Ray takes 240 MB and is in no extra that the tests install")
    others, done, killed = workers(), 0, None
    with begun(tmp_path / "out", [str(tmp_path / "in")], {}, "jsonl", 4) as run:
        for count in ENGINES["ray"].run(job, run.missing(), 2):
            done += count
            if done == 12:
                killed = min(workers() - others)
                os.kill(killed, signal.SIGKILL)
        tally = run.finish()
        shared = list(run.rows())
    assert killed and done == 48 and (tally.images, tally.bad, tally.objects.total()) == (48, 0, 48)
    assert not list((tmp_path / "out").glob("*writing*"))
    with begun(tmp_path / "alone", [str(tmp_path / "in")], {}, "jsonl", 4) as run:
        alone = Job(run.folder.resolve(), "jsonl", tmp_path, job.load, job.read_extras, 0.3, 2, False)
        assert sum(ENGINES["local"].run(alone, run.missing(), None)) == 48
        expected = list(run.rows())
    assert [row["id"] for row in shared] == list(range(1, 49))
    assert shared == expected


@pytest.mark.long
def test_a_bad_image_ends_the_run_of_ray_and_is_named(job, tmp_path):
    pytest.importorskip("ray", reason="Ray takes 240 MB and is in no extra that the tests install")
    (tmp_path / "in" / "05.png").write_bytes(b"")
    with begun(tmp_path / "out", [str(tmp_path / "in")], {}, "jsonl", 4) as run:
        with pytest.raises(DataError, match=r"05.png: the image file is empty .* Use --skip-bad"):
            list(ENGINES["ray"].run(job, run.missing()[:3], 1))
        assert not run.part(1).exists()
