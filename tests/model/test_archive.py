"""Archives whose parts would fill the memory are refused before they are read."""

import json
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.model import archive
from centernet_tf.model.archive import CARD, FREE, MOST, WEIGHTS, check_weights, open_archive
from centernet_tf.model.file import load_model, read_card

CONFIG = "config.json"


def rewrite(source, target, packing=zipfile.ZIP_DEFLATED, **parts):
    """Copies a model file with other parts, deflated."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", packing) as new:
        for name in old.namelist():
            if name not in parts:
                new.writestr(name, old.read(name))
        for name, content in parts.items():
            new.writestr(name, content)


@pytest.mark.parametrize("name", [CARD, "metadata.json", CONFIG, "assets/anything", "anything"])
def test_a_part_that_grows_is_refused_before_it_is_read(name, spot_model, tmp_path):
    path = tmp_path / "bomb.keras"
    size = MOST.get(name, archive.MOST_REST) + 1
    rewrite(spot_model, path, **{name: b" " * size})
    assert path.stat().st_size < 10**6
    tracemalloc.start()
    for reader in (read_card, load_model):
        with pytest.raises(UsageError, match=rf"bomb\.keras: '{name}' in it grows from \d+ to {size} bytes, more than"):
            reader(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e6


def test_many_parts_count_together(spot_model, tmp_path):
    path = tmp_path / "bomb.keras"
    rewrite(spot_model, path, **{f"part{number}": bytes(archive.MOST_REST // 3) for number in range(4)})
    with pytest.raises(UsageError, match="'part3' in it grows"):
        read_card(path)


def test_a_size_that_the_archive_lies_about(spot_model, tmp_path):
    """The reader stops where the directory says, and the checksum tells."""
    path = tmp_path / "bomb.keras"
    rewrite(spot_model, path, **{CARD: b" " * 3_000_000})
    data = path.read_bytes()
    true, told = ((3_000_000).to_bytes(4, "little"), (900).to_bytes(4, "little"))
    assert data.count(true) == 2
    path.write_bytes(data.replace(true, told))
    with pytest.raises(UsageError, match=r"bomb\.keras: "):
        read_card(path)


def packed_weights(path, values, **options):
    with h5py.File(path, "w") as weights:
        weights.create_dataset("layers/conv2d/vars/0", data=values, **options)
    return path.read_bytes()


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_that_grow(packing, spot_model, tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "FREE", FREE >> 6)
    grown = np.zeros(FREE // 32, np.float32)
    path = tmp_path / "bomb.keras"
    content = packed_weights(tmp_path / "w.h5", grown, compression="gzip", chunks=True)
    rewrite(spot_model, path, packing, **{WEIGHTS: content})
    with pytest.raises(UsageError, match=r"bomb\.keras: (its weights|'model.weights.h5' in it) grow"):
        load_model(path)


def test_weights_that_lie_in_another_file(spot_model, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(400))
    with h5py.File(tmp_path / "w.h5", "w") as weights:
        weights.create_dataset("vars/0", (100,), np.float32, external=[(str(tmp_path / "secret"), 0, 400)])
    path = tmp_path / "odd.keras"
    rewrite(spot_model, path, **{WEIGHTS: (tmp_path / "w.h5").read_bytes()})
    with pytest.raises(UsageError, match=r"odd\.keras: its weights 'vars/0' lie in another file"):
        load_model(path)


def test_a_sound_archive_packed_again_is_read(spot_model, tmp_path):
    path = tmp_path / "again.keras"
    rewrite(spot_model, path)
    check_weights(path)
    assert load_model(path)[1] == read_card(spot_model)
    with open_archive(path) as parts:
        assert json.loads(parts.read(CONFIG))
