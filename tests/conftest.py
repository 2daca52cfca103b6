"""What several test files share."""

import gc
import os
import shutil
import signal
from pathlib import Path

import jax
import numpy as np
import pytest

from thermogen.cli import main
from thermogen.studies.experiment import prepare
from thermogen.studies.settings import Settings
from thermogen.studio.models import Models

# Compiled programs are shared by the workers, by the processes that tests start, and by later runs.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parent.parent / ".pytest_cache" / "jax")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update(
    "jax_persistent_cache_min_compile_time_secs",
    float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]),
)

FAST = [
    "cache",
    "couplings",
    "data",
    "docs",
    "glossary",
    "hardware",
    "ledger",
    "lowrank",
    "measures",
    "moment_matching",
    "noise",
    "speed_page",
    "step",
    "stepsize",
    "store",
    "structure",
    "thermodynamics",
    "units",
]
"""Test files of `make check`: the others are marked slow."""

MOST_MAPS = 40_000
"""Memory maps after which compiled programs are dropped; Linux ends a process beyond 65,530."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job, and so all its children
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    """Mark the tests that `make check` leaves out."""
    for item in items:
        if item.path.stem.removeprefix("test_") not in FAST:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _compiled_programs_are_dropped_in_time():
    """Every compiled program holds memory maps: thousands of tests in one process run out of them."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Call the command line in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr("sys.argv", ["thermogen", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code or 0
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


@pytest.fixture(scope="session")
def ngspice():
    """Skip, with a word, where ngspice is not installed."""
    if shutil.which("ngspice") is None:
        pytest.skip("ngspice is not installed")


@pytest.fixture(scope="session")
def two_patterns():
    """Settings of exact training on two patterns: nine units and four hidden ones; images go to a folder."""

    def settings(where, **given):
        images = np.array([np.eye(3), 1 - np.eye(3)], np.float32)
        np.savez(where / "two.npz", images=images, labels=np.arange(2))
        return Settings.of("exact", images=str(where / "two.npz"), digits=(), hidden=4, dt=0.01, **given)

    return settings


@pytest.fixture(scope="session")
def small_model(two_patterns, tmp_path_factory):
    """The folder of a model of two patterns; its images lie beside it, as two.npz."""
    where = tmp_path_factory.mktemp("model")
    experiment = prepare(two_patterns(where))
    return experiment.model(experiment.train()).save_pretrained(where / "m")


@pytest.fixture(scope="session")
def shelf():
    """The models and the judge of the live page, read once."""
    return Models.of()


@pytest.fixture(scope="session")
def classifier(shelf):
    """The judge of digits that ships with the package."""
    return shelf.classifier
