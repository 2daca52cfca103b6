"""What all visitors share, none of it changing: models on offer, the judge, the threads that compute."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from thermogen.quality import Classifier, load_classifier
from thermogen.storage.model import SHIPPED, Model
from thermogen.studies.time_step import at_step
from thermogen.studio.shown_model import ShownModel

WORKERS = 2
"""Simulations that advance at the same moment; others wait their turn, a few milliseconds each."""


@dataclass(frozen=True)
class Models:
    """Models by the name that the page shows, read when first chosen."""

    models: Mapping[str, str | Path | Model]
    classifier: Classifier
    dt: str | None = None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS, "studio"))
    training: Lock = field(default_factory=Lock)
    """Held while someone trains: one at a time, since a training takes all cores."""
    _loaded: dict[str, ShownModel] = field(default_factory=dict)
    _loading: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, folder: str | Path | None = None, dt: str | None = None) -> Models:
        """The shipped models, behind that of `folder` if one is given; it is read now, to find errors.

        dt: time step with which a run begins, see `at_step`.
        """
        models: dict[str, str | Path | Model] = {}
        if folder is not None:
            models[str(folder)] = at_step(Model.from_pretrained(folder), dt)
        for name in SHIPPED:
            models.setdefault(name, name)
        return cls(models, load_classifier(), dt)

    def load(self, name: str) -> ShownModel:
        """A model of this shelf, ready to be shown."""
        with self._loading:
            if name not in self._loaded:
                found = self.models[name]
                model = found if isinstance(found, Model) else at_step(Model.from_pretrained(found), self.dt)
                self._loaded[name] = ShownModel.of(name, model)
            return self._loaded[name]
