"""What stays the same over the frames of a video, and what starts again after a cut."""

import numpy as np

from gan.utils.video_state import WINDOW, Video, from_first_frame, in_video, mean_over_frames

DARK, LIGHT = (np.full((8, 9, 3), level, np.uint8) for level in (60, 70))
OTHER = np.full((8, 9, 3), 200, np.uint8)


def test_without_a_video_values_are_their_own() -> None:
    value = np.ones(3)
    assert mean_over_frames(value) is value and from_first_frame(7) == 7 and not in_video()


def test_means_and_first_values() -> None:
    video = Video()
    for n, mean in enumerate([0.0, 0.5, 1.0, 1.5]):
        with video.frame(DARK if n % 2 else LIGHT):
            assert in_video()
            assert mean_over_frames(np.float64(n)) == mean
            assert mean_over_frames(np.float64(10 * n)) == 10 * mean  # the second call is another value
            assert from_first_frame(n) == 0
    assert not in_video()


def test_the_mean_follows_slow_changes() -> None:
    video = Video()
    for _ in range(4 * WINDOW):
        with video.frame(DARK):
            mean_over_frames(np.float64(0))
    values = []
    for _ in range(4 * WINDOW):
        with video.frame(DARK):
            values.append(mean_over_frames(np.float64(1)))
    assert values[0] == 1 / WINDOW and 0.6 < values[WINDOW] < 0.7 and values[-1] > 0.95


def test_a_cut_starts_means_again_and_keeps_first_values() -> None:
    video = Video()
    seen = []
    for n, pixels in enumerate([DARK, LIGHT, OTHER, OTHER]):
        with video.frame(pixels):
            seen.append((float(mean_over_frames(np.float64(n))), from_first_frame(n)))
    assert seen == [(0, 0), (0.5, 0), (2, 0), (2.5, 0)]


def test_frames_of_other_sizes_and_errors() -> None:
    video = Video()
    with video.frame(DARK):
        mean_over_frames(np.zeros(3))
    try:
        with video.frame(DARK):
            assert mean_over_frames(np.ones(2)).tolist() == [1, 1]  # no mean with an array of another shape
            raise ValueError
    except ValueError:
        assert not in_video()
