"""Say what the scores of a run's first minutes mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NOTICEABLE = 0.01  # relative increase of the score at 0 images
MEANINGLESS = 0.01  # recall below which a precision says nothing about the quality


class ScoreNotes:
    """Notes on the scores of one run. Each kind of note is given once.

    Args:
        start: what training starts from.
    """

    def __init__(self, start: str = "the untrained network") -> None:
        self.start = start
        self.untrained: dict[str, float] = {}  # scores at 0 images
        self.given: list[str] = []  # kinds of notes

    def new(self, images: int, scores: Mapping[str, float]) -> list[str]:
        """Return the notes on the scores at a number of images that were not given before."""
        if images == 0:
            self.untrained = dict(scores)
        found = {kind: text for kind, text in self.notes(images, scores) if kind not in self.given}
        self.given += found
        return list(found.values())

    def notes(self, images: int, scores: Mapping[str, float]) -> Iterator[tuple[str, str]]:
        """Yield kind and text of each note that applies."""
        if images == 0:
            yield "untrained", f"{self.start} has {listed(scores)}; scores often get worse before they improve"
        for name, before in self.untrained.items():
            if "/kid_" in name and scores.get(name, before) > before + NOTICEABLE * abs(before):
                higher = f"{short(name)} {scores[name]:.4g} is higher than that of {self.start} ({before:.4g})"
                yield "rises", f"{higher}; this is common in the first minutes"
        for name, precision in scores.items():
            recall = name.replace("/precision", "/recall")
            if "/precision" in name and precision > 0 and scores.get(recall, 1.0) < MEANINGLESS:
                means = "a network that repeats one image can reach a precision of 1"
                when = f"while {short(recall)} is below {MEANINGLESS}"
                yield "precision", f"{short(name)} {precision:.3g} says nothing {when}; {means}"

    def state_dict(self) -> dict[str, Any]:
        return {"untrained": self.untrained, "given": self.given}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.untrained = {str(name): float(score) for name, score in state.get("untrained", {}).items()}
        self.given = [str(kind) for kind in state.get("given", [])]


def short(name: str) -> str:
    return name.removeprefix("eval/")


def listed(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{short(name)} {value:.4g}" for name, value in scores.items())
