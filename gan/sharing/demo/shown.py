"""A model as the page shows it: a generator, a translator, or a run without a checkpoint yet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from gan.common.errors import UserError
from gan.latent import vector_files
from gan.latent.space import Space
from gan.recognition import classifier
from gan.run.run_folder import DIRECTIONS, DIRECTIONS_FILE, RECOGNITION
from gan.sharing import provenance

MAX_DIRECTIONS = 24


@dataclass
class Shown:
    """A model of the page.

    Attributes:
        name: as the user gave it, in one line.
        path: run folder, checkpoint, or folder of a shared model.
        run: the run folder; None if the model is in none.
        model: a `gan.Model` or `gan.Translator`; None if the run has no checkpoint yet.
        load: returns the model of the newest checkpoint.
        notes: what could not be used, for the page.
    """

    name: str
    path: Path
    run: Path | None
    model: Any
    load: Callable[[], Any]
    calls: str = ""  # ends the names of direct calls of this model
    notes: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)  # for what is computed once

    @property
    def generates(self) -> bool:
        return hasattr(self.model, "generator")

    @property
    def translates(self) -> bool:
        return hasattr(self.model, "network")

    @cached_property
    def space(self) -> Space:
        return Space(self.model.generator)

    @property
    def units(self) -> dict[str, float]:
        """The standard deviation of each attribute, measured once."""
        with self.lock:
            found: dict[str, float] = self.model.units
            return found

    def add_directions(self) -> None:
        """Add the directions and the classes that the run has to the model."""
        if self.run is None or not self.generates:
            return
        file = self.run / DIRECTIONS / DIRECTIONS_FILE
        if file.is_file():
            try:
                found = vector_files.read_directions(file, self.model.generator)
                self.model.vectors |= dict(list(found.items())[:MAX_DIRECTIONS])
            except UserError as error:
                self.notes.append(str(error))
        if (self.run / RECOGNITION / classifier.ABOUT).is_file():
            try:
                classes = classifier.load(str(self.run), "best", self.run / RECOGNITION, "cpu").attributes()
                self.model.attributes = classes | self.model.attributes
            except UserError as error:
                self.notes.append(str(error))

    def reload(self) -> bool:
        """Load the newest checkpoint, and return whether it is another one."""
        model = self.load()
        newer = self.model is None or model.images != self.model.images
        if newer:
            self.model = model
            self.__dict__.pop("space", None)
            self.add_directions()
        return newer

    def label(self, name: Any) -> str | None:
        """Return the name of a class; None for any class."""
        if name in (None, "", ANY):
            return None
        self.model.label_of(str(name)[:200])
        return str(name)

    def changes(self, settings: dict[str, float], mixes: Any, label: str | None) -> dict[str, Any]:
        """Return what describes an edit in the files, see `gan.sharing.provenance.changes`."""
        weights = None if self.run is None else self.run / RECOGNITION / classifier.WEIGHTS
        return provenance.changes(self.model, settings, mixes, label, classifier=weights)


ANY = "any class"  # the choice of no class


class Base:
    """The latent that is edited, and where it comes from.

    Args:
        latents: (1, ...), before and after mixing.
        label: (1,), its class.
        describe: returns the text chunk of its image uint8 (C, H, W) after a change of settings.
    """

    def __init__(
        self, latents: Tensor, label: Tensor | None, name: str, describe: Callable[[dict[str, float], Tensor], Any]
    ) -> None:
        self.latents, self.label, self.name, self.describe = latents, label, name, describe
