"""The notebooks: what is shown is what is edited, and every one runs anew, checks of the physics included."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
LIMIT = 300  # seconds a notebook may take where other tests run beside it; alone it takes half a minute


def test_there_are_eight_and_each_has_its_pair():
    assert [name[:2] for name in NAMES] == [f"{number:02d}" for number in range(1, 9)]
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_is_what_is_edited(name):
    jupytext = pytest.importorskip("jupytext")
    edited, shown = (jupytext.read(FOLDER / f"{name}.{kind}") for kind in ("py", "ipynb"))
    assert [(cell.cell_type, cell.source) for cell in shown.cells] == [
        (cell.cell_type, cell.source) for cell in edited.cells
    ]
    code = [cell for cell in shown.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [one for cell in code for one in cell.outputs if one.output_type == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_nothing_of_the_machine_it_was_made_on(name):
    jupytext = pytest.importorskip("jupytext")
    shown = jupytext.read(FOLDER / f"{name}.ipynb")
    assert set(shown.metadata) == {"kernelspec", "language_info"}
    assert dict(shown.metadata["kernelspec"]) == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    assert all(not cell.metadata for cell in shown.cells)
    text = (FOLDER / f"{name}.ipynb").read_text()
    text = re.sub(r'"image/png": "[^"]*"', "", text)
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|usr|Users)/", text)


def test_pictures_are_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*.ipynb")) < 3e6


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_its_checks_hold(name, tmp_path):
    """In a process of its own and an empty folder, warnings as errors; no screen to show figures on."""
    known = ["-W", "error", "-W", "ignore:FigureCanvasAgg is non-interactive:UserWarning"]
    done = subprocess.run(
        [sys.executable, *known, str(FOLDER / f"{name}.py")],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (FOLDER / f"{name}.py").read_text().count("assert ") >= 2


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)#]+)", (FOLDER / f"{name}.py").read_text()):
        assert (FOLDER / target).exists(), target
