"""Equations as MathML, made while the site is built: pages need no script and no network to show them."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

_log = logging.getLogger(__name__)
_UNKNOWN = re.compile(r"<m[io]>(\\[A-Za-z]+|&)</m[io]>")
_BAR = re.compile(r"<mover>(<mrow>.*?</mrow>)<mo accent=\"true\">&#x02015;</mo></mover>")


def as_mathml(tex: str, block: bool) -> str:
    """TeX as MathML. ValueError for a command that is not understood, which would be shown as it stands."""
    made = convert(tex, display="block" if block else "inline")
    unknown = _UNKNOWN.search(made)
    if unknown:
        raise ValueError(f"{unknown[1]} is not understood in {tex!r}")
    # A bar of this kind is not stretched by every browser; a border always is as wide as what it covers.
    return _BAR.sub(r'<mrow class="bar">\1</mrow>', made)


def _mathml(node: Any, block: bool) -> str:
    try:
        return as_mathml(node.astext(), block)
    except Exception as error:  # whatever the converter raises: the page and the line are what helps
        _log.warning("equation that cannot be shown: %s", error, location=node)
        return f"<code>{node.astext()}</code>"


def _inline(translator: Any, node: Any) -> None:
    translator.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def _display(translator: Any, node: Any) -> None:
    anchor = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    translator.body.append(f'<div class="math"{anchor}>{_mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer `mathml`."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
