"""Sphinx: ``make docs`` writes docs/_build/index.html."""

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
