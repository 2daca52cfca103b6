"""Models, arrays, checkpoints, kept results and run folders on disk."""

from thermogen.storage.cache import ResultCache, share_jobs
from thermogen.storage.model import Model

__all__ = ["Model", "ResultCache", "share_jobs"]
