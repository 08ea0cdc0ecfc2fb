"""What stays in float is found by how operators are connected."""

from centernet_tf.exports.flow import Flow, float_operators


def test_the_last_convolutions_and_what_follows_stay():
    # Colours 0, shared 1, its ReLU 2; two heads 3 and 4; the decode of both 5, 6.
    flow = Flow({0, 1, 3, 4}, set(), set(), [[], [0], [1], [2], [2], [3, 4], [5]])
    assert float_operators(flow) == {3, 4, 5, 6}


def test_positions_stay_and_the_convolution_behind_the_samples_does_not():
    # Stem 0; positions 1, rounded down 2; samples 3 of the stem's map; convolution 4 over them; head 5; decode 6.
    flow = Flow({0, 1, 4, 5}, {2}, set(), [[], [0], [1], [0, 2], [3], [4], [5]])
    assert float_operators(flow) == {1, 2, 3, 5, 6}


def test_what_is_computed_of_other_inputs_stays():
    # Stem 0, head 1, decode 2; an input beside the image is read by 3, whose result is read by 4, and that by 2.
    flow = Flow({0, 1}, set(), {3}, [[], [0], [1, 4], [], [3]])
    assert float_operators(flow) == {1, 2, 3, 4}
