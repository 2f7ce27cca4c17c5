"""Notes on the scores of a run's first minutes."""

from __future__ import annotations

from gan.training.callbacks.score_notes import ScoreNotes

UNTRAINED = {"eval/kid_x1000_lite0": 931.0, "eval/precision_lite0": 1.0, "eval/recall_lite0": 0.0}


def test_scores_at_0_images_are_those_of_the_start() -> None:
    (start,) = ScoreNotes("the color map").new(0, {"eval/kid_x1000_lite0": 30.0})
    assert start.startswith("the color map has kid_x1000_lite0 30;")
    first, second = ScoreNotes().new(0, UNTRAINED)
    assert first.startswith("the untrained network has kid_x1000_lite0 931, precision_lite0 1, recall_lite0 0;")
    assert second.startswith("precision_lite0 1 says nothing while recall_lite0 is below 0.01")


def test_a_score_that_rises_first_has_a_note_once() -> None:
    notes = ScoreNotes()
    notes.new(0, UNTRAINED)
    assert notes.new(500, UNTRAINED | {"eval/kid_x1000_lite0": 932.0}) == []  # equal within its error
    (rises,) = notes.new(1000, UNTRAINED | {"eval/kid_x1000_lite0": 1200.0})
    assert rises.startswith("kid_x1000_lite0 1200 is higher than that of the untrained network (931); this is common")
    again = ScoreNotes()
    again.load_state_dict(notes.state_dict())
    assert again.new(2000, UNTRAINED | {"eval/kid_x1000_lite0": 1100.0}) == []


def test_good_scores_have_no_note() -> None:
    notes = ScoreNotes()
    notes.new(0, {"eval/kid_x1000_lite0": 931.0})
    good = {"eval/kid_x1000_lite0": 300.0, "eval/precision_lite0": 0.5, "eval/recall_lite0": 0.2}
    assert notes.new(1000, good) == []
