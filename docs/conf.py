"""The documentation site: `make docs` builds it into docs/_build; every warning is an error."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import get_type_hints

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_site"))

from names import ADOPTED, ROOT, on_site  # noqa: E402

project = "thermogen"
author = "thermogen contributors"
copyright = "thermogen contributors, Apache-2.0"
version = release = version_of("thermogen")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml",
    "docstrings",
]
exclude_patterns = ["_build", "_site", "notebooks/*.py", "**/.ipynb_checkpoints", "**/jupyter_execute"]
suppress_warnings = ["myst.header"]  # notebooks may start with any heading

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
nb_execution_mode = "off"

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
add_module_names = False
smartquotes = False
html_math_renderer = "mathml"

html_theme = "furo"
html_title = f"thermogen {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False


def _as_on_site(app, docname: str, content: list[str]) -> None:
    """Links that lead to the source lead to the API, and files of the project's folder become pages."""
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md":
        return
    if docname in ADOPTED:
        content[0] = on_site((ROOT / ADOPTED[docname]).read_text(), ROOT)
    else:
        content[0] = on_site(content[0], page.parent)


def _plain_types(app, function, bound: bool) -> None:
    """Signatures show the type of a field, not the option that annotates it."""
    if any("Option(" in str(hint) for hint in getattr(function, "__annotations__", {}).values()):
        function.__annotations__ = get_type_hints(function)


def setup(app) -> None:
    """Rewrite links as pages are read."""
    app.connect("source-read", _as_on_site)
    app.connect("autodoc-before-process-signature", _plain_types)
