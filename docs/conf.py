"""Sphinx: ``make docs`` writes docs/_build/index.html."""

import importlib
import re
from typing import Any

# The plug-in amends RecBole's modules as RecBole imports them. Autodoc would import some of the
# plug-in's own modules first, in the middle of which that happens.
for name in ("recbole_lpi", "recbole.evaluator"):
    importlib.import_module(name)

project = "recbole_lpi"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
html_theme = "furo"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# Links to files beside the docs; fields of one name in several classes.
suppress_warnings = ["myst.xref_missing", "ref.python"]
napoleon_use_ivar = True  # a field is described once, where the docstring lists it


def escape_bars(*given: Any) -> None:
    """|w| in a docstring is an absolute value, where docutils looks for a substitution."""
    lines = given[-1]
    for number, line in enumerate(lines):
        pieces = re.split(r"(``.*?``)", line)
        pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
        lines[number] = "".join(pieces)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", escape_bars)
