"""Shared by all visitors: the models, the classifier, the threads that compute."""

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
"""Simulations that advance at the same time; others wait a few milliseconds."""


@dataclass(frozen=True)
class Models:
    """Models by the name on the page. Each is read when it is first chosen."""

    models: Mapping[str, str | Path | Model]
    classifier: Classifier
    dt: str | None = None
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WORKERS, "studio"))
    training: Lock = field(default_factory=Lock)
    """Locked during a training: one at a time, since a training uses all cores."""
    _shown: dict[str, ShownModel] = field(default_factory=dict)
    _loading: Lock = field(default_factory=Lock)

    @classmethod
    def of(cls, folder: str | Path | None = None, dt: str | None = None) -> Models:
        """The shipped models, after that of `folder` if given, which is read at once to find errors.

        dt: time step at the start of a run, see `at_step`; None for that of the model.
        """
        models: dict[str, str | Path | Model] = {}
        if folder is not None:
            models[str(folder)] = _with_step(Model.from_pretrained(folder), dt)
        for name in SHIPPED:
            models.setdefault(name, name)
        return cls(models, load_classifier(), dt)

    def load(self, name: str) -> ShownModel:
        """A model by name, prepared for the page."""
        with self._loading:
            if name not in self._shown:
                model = self.models[name]
                if not isinstance(model, Model):
                    model = _with_step(Model.from_pretrained(model), self.dt)
                self._shown[name] = ShownModel.of(name, model)
            return self._shown[name]


def _with_step(model: Model, dt: str | None) -> Model:
    # A pilot run would delay the page by seconds.
    return model if dt is None else at_step(model, dt)
