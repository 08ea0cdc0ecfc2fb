"""`centernet benchmark` from the outside."""

import json

import pytest

from centernet_tf.cli import main
from centernet_tf.media.draw import save_image


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main(["benchmark", *map(str, arguments)])
        return end.value.code or 0, *capfd.readouterr()

    return run


@pytest.mark.long
@pytest.mark.slow
def test_a_model_on_own_images(call, spot_model, draw_spots, tmp_path):
    save_image(tmp_path / "in" / "a.png", draw_spots(96, 64, (30, 40, 0)))
    code, output, errors = call(spot_model, "--images", "in", "--rounds", 2, "--json", "new/found.json")
    assert code == 0, errors
    assert "1 images, 2 rounds" in output
    (found,) = json.loads((tmp_path / "new" / "found.json").read_text()).values()
    assert 0 < found["read"] < found["median"] <= found["p95"]
    assert found["run"] <= found["median"]
    assert found["memory"] > 0
    assert found["size"] == pytest.approx(spot_model.stat().st_size / 1e6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none.keras",), "none.keras: no such model"),
        (("model", "--images", "none"), "--images none: no such image or folder"),
        (("model", "--rounds", "0"), "rounds"),
    ],
)
def test_wrong_calls(arguments, said, call, spot_model):
    code, _, errors = call(*(spot_model if one == "model" else one for one in arguments))
    assert (code, said in errors) == (2, True), errors
