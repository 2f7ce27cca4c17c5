"""What the page shows. No Gradio, whose environment is set before its import."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gan.editing import vector_files
from gan.editing.space import Space
from gan.recognition import classifier
from gan.records import provenance
from gan.runs.run_folder import DIRECTIONS, DIRECTIONS_FILE, RECOGNITION
from gan.utils.errors import UserError

MAX_DIRECTIONS = 24
ANY = "any class"  # the choice of no class


@dataclass
class PageModel:
    """A generator or a translator."""

    name: str  # as the user gave it, in one line
    run: Path | None  # the run folder; None if the model is in none
    model: Any  # a `gan.Model` or `gan.Translator`
    calls: str = ""  # ends the names of direct calls of this model
    notes: list[str] = field(default_factory=list)  # what could not be used, for the page
    effects: dict[str, str] = field(default_factory=dict)  # what directions change, by their names, for the page

    @property
    def generates(self) -> bool:
        return hasattr(self.model, "generator")

    @cached_property
    def space(self) -> Space:
        return Space(self.model.generator)

    def add_directions(self) -> None:
        """Add the directions and the classes that the run has to the model."""
        if self.run is None or not self.generates:
            return
        file = self.run / DIRECTIONS / DIRECTIONS_FILE
        try:
            if file.is_file():
                directions = vector_files.read_directions(file, self.model.generator)
                self.model.vectors |= dict(list(directions.items())[:MAX_DIRECTIONS])
                self.effects = vector_files.read_effects(file)
            if (self.run / RECOGNITION / classifier.ABOUT).is_file():
                classes = classifier.load(str(self.run), "best", self.run / RECOGNITION, "cpu").attributes()
                self.model.attributes = classes | self.model.attributes
        except UserError as error:
            self.notes.append(str(error))

    def label(self, name: object) -> str | None:
        """Return the name of a class; None for any class."""
        if name in (None, "", ANY):
            return None
        self.model.label_of(str(name)[:200])
        return str(name)

    def changes(self, settings: dict[str, float]) -> dict[str, Any]:
        """Return what describes an edit in the files, see `gan.records.provenance.changes`."""
        weights = None if self.run is None else self.run / RECOGNITION / classifier.WEIGHTS
        return provenance.changes(self.model, settings, classifier=weights)
