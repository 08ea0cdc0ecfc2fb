import collections
import sys

import numpy as np
import pytest

from centernet_tf.checkpoints.state_dict import read_state_dict
from centernet_tf.errors import UsageError

torch = pytest.importorskip("torch", reason="reading checkpoints needs the extra [torch]")


def tensors():
    return collections.OrderedDict(a=torch.arange(6.0).reshape(2, 3), n=torch.tensor(7))


def save(content, path, old=False):
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return path


OPTIMIZER = {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4, "betas": (0.9, 0.999)}]}


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("parallel", [False, True], ids=["plain", "module."])
@pytest.mark.parametrize(
    ("wrap", "notes"),
    [
        (lambda state: state, ()),
        (lambda state: dict(state), ()),
        (lambda state: {"state_dict": state}, ()),
        (lambda state: {"epoch": 140, "state_dict": state}, ("beside state_dict: epoch (not needed)",)),
        (
            lambda state: {"epoch": 1, "state_dict": state, "optimizer": OPTIMIZER},
            ("beside state_dict: epoch, optimizer (not needed)",),
        ),
        (lambda state: {"model": state}, ()),
    ],
    ids=["bare", "dict", "wrapped", "epoch", "optimizer", "model"],
)
def test_every_form_of_file(tmp_path, wrap, notes, parallel, old):
    state = tensors()
    if parallel:
        state = collections.OrderedDict((f"module.{name}", value) for name, value in state.items())
    found = read_state_dict(save(wrap(state), tmp_path / "model.pth", old))
    assert list(found.tensors) == ["a", "n"]
    np.testing.assert_array_equal(found.tensors["a"], [[0, 1, 2], [3, 4, 5]])
    assert found.tensors["a"].dtype == np.float32
    assert found.notes == notes


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_become_float32(tmp_path, kind):
    found = read_state_dict(save({"a": torch.tensor([0.5, -2.0], dtype=kind, requires_grad=True)}, tmp_path / "a.pth"))
    np.testing.assert_array_equal(found.tensors["a"], np.float32([0.5, -2]))
    assert found.tensors["a"].dtype == np.float32


def test_names_that_only_look_parallel(tmp_path):
    found = read_state_dict(save({"module_list.0.weight": torch.ones(1)}, tmp_path / "a.pth"))
    assert list(found.tensors) == ["module_list.0.weight"]


def test_entries_without_numbers_are_told(tmp_path):
    found = read_state_dict(save({"a": torch.ones(1), "version": 3}, tmp_path / "a.pth"))
    assert (list(found.tensors), found.notes) == (["a"], ("no tensors: version",))


class Harm:
    """Would make a file, were it ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def refused(path):
    with pytest.raises(UsageError) as error:
        read_state_dict(path)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("old", [False, True])
def test_a_pickle_that_runs_code_is_refused(tmp_path, old):
    harmed = tmp_path / "harmed"
    path = save({"state_dict": tensors(), "extra": Harm(harmed)}, tmp_path / "a.pth", old)
    message = refused(path)
    assert "refused: it holds objects that could run code" in message
    assert "open" in message
    assert "torch.save(model.state_dict()" in message
    assert not harmed.exists()


@pytest.mark.parametrize("old", [False, True])
def test_a_whole_module_is_refused(tmp_path, old):
    assert "refused" in refused(save(torch.nn.Linear(2, 2), tmp_path / "a.pth", old))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_cut_off(tmp_path, old, share):
    path = save({"state_dict": {"a": torch.ones(100, 100)}}, tmp_path / "a.pth", old)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    message = refused(path)
    assert "PyTorch file" in message
    assert "download it again" in message.lower()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"person\ncar\n",
        b"<!DOCTYPE html><html>quota exceeded</html>",
        b'{"error": 404}',
        b"\x00" * 1000,
        b"PK\x03\x04",
    ],
)
def test_no_checkpoint_at_all(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content)
    message = refused(path)
    assert "not a PyTorch file" in message
    assert ("page or message" in message) == (content == b"" or content[:1] in b"<{")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "no tensors in it, only nothing"),
        ({"epoch": 3}, "no tensors in it, only epoch"),
        ({"state_dict": {}}, "no tensors in it"),
        ([torch.ones(1)], "holds a list"),
        (torch.ones(1), "holds a Tensor"),
    ],
)
def test_nothing_to_load(tmp_path, content, said):
    assert said in refused(save(content, tmp_path / "a.pth"))


def test_missing_file(tmp_path):
    assert "no such file" in refused(tmp_path / "none.pth")
    assert "no such file" in refused(tmp_path)


def test_without_pytorch_the_extra_is_named(tmp_path, monkeypatch):
    path = save(tensors(), tmp_path / "a.pth")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install 'centernet_tf[torch]'" in refused(path)


def quantized():
    return torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: torch.ones(2, 2).to_sparse(), "'a' is a torch.sparse_coo tensor, expected plain numbers"),
        (lambda: torch.ones(2, 2).to_sparse_csr(), "'a' is a torch.sparse_csr tensor"),
        (lambda: torch.ones(2, 2, device="meta"), "'a' is a meta tensor"),
        (quantized, "'a' is a quantized tensor"),
        (lambda: torch.ones(2, 2, dtype=torch.complex64), "'a' is a torch.complex64 tensor"),
        (lambda: torch.ones(1).expand(100_000, 100_000), "'a' says it has shape [100000, 100000], more than what is"),
    ],
)
def test_tensors_that_are_no_plain_numbers_are_named(make, said, old, tmp_path):
    try:
        path = save({"a": make(), "b": torch.ones(1)}, tmp_path / "a.pth", old)
    except (AttributeError, RuntimeError, NotImplementedError):
        pytest.skip("PyTorch does not write it in this form")
    message = refused(path)
    assert said in message or "refused" in message or "not a PyTorch file" in message


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.uint16, torch.bool])
def test_rare_types_are_read_or_named(kind, tmp_path):
    path = save({"a": torch.ones(2).to(kind)}, tmp_path / "a.pth")
    np.testing.assert_array_equal(read_state_dict(path).tensors["a"], [1, 1])
