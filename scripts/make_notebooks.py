"""Run the notebooks of docs/notebooks and write them with their outputs: NAME.py becomes NAME.ipynb.

From the project's folder: .venv/bin/python scripts/make_notebooks.py [NAME ...]. Edit the .py files
(jupytext's percent format). The documentation shows the .ipynb files. They hold no paths and no times of
cells; the kernel is 'python3', and the cells are numbered in order.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
LIMIT = 600  # seconds a cell may take
COLOURS = 64  # of a picture: noise in grey does not compress, and more are not seen


def executed(source: Path) -> nbformat.NotebookNode:
    """The notebook of a .py file with its outputs. Raises an error of a cell."""
    notebook = jupytext.read(source)
    notebook.metadata = nbformat.from_dict({**KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({})
    # In an empty folder: a notebook works wherever it is.
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(
            notebook,
            timeout=LIMIT,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": empty}},
        )
        client.execute()
    notebook.metadata = nbformat.from_dict({**KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
    return notebook


def smaller(png: str) -> str:
    """The picture with few colours, in base64."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    stream = io.BytesIO()
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def main() -> None:
    """Run the named notebooks, or all."""
    names = sys.argv[1:] or sorted(path.stem for path in FOLDER.glob("*.py"))
    for name in names:
        begun = time.perf_counter()
        notebook = executed(FOLDER / f"{name}.py")
        nbformat.validate(notebook)
        target = FOLDER / f"{name}.ipynb"
        target.write_text(nbformat.writes(notebook) + "\n")
        size = target.stat().st_size / 1024
        print(f"{name}: {time.perf_counter() - begun:.0f} s, {size:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
