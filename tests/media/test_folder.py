"""What the names of frames tell of a folder that is one video."""

import pytest

from centernet_tf.media.folder import doubts


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("", []),
        ("1 2", []),
        ("1 2 3 4", []),
        ("000010 000015 000020 000025", []),  # every fifth frame
        ("cam_1 cam_2 cam_3_x cam_9", []),  # not all named alike
        ("a b c d", []),
        ("1 2 3 7 8", ["3 frames are missing between 3.png and 7.png."]),
        ("f0 f5 f10 f25 f30", ["2 frames are missing between f10.png and f25.png."]),
        ("01 02 2 03 04", ["02.png and 2.png have the same number."]),
        (
            "1 2 3 5 6 7 9",
            ["one frame is missing between 3.png and 5.png.", "one frame is missing between 7.png and 9"],
        ),
    ],
)
def test_numbers_of_frames(tmp_path, names, said):
    for name in names.split():
        (tmp_path / f"{name}.png").touch()
    found = doubts(tmp_path)
    assert len(found) == len(said)
    assert all(text in line and line.startswith(str(tmp_path)) for text, line in zip(said, found))
