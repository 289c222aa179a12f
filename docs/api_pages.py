"""The pages of the API reference, from the modules there are: ``python docs/api_pages.py``.

Writes docs/api/<package>.md, one page for each package of ``recbole_lpi``, with every module that
is not private. ``tests/test_docs.py`` fails where the pages in the tree differ from these.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "recbole_lpi"
PAGES = ROOT / "docs" / "api"

# From what is used alone to what stands on everything else.
ORDER = (
    "objectives", "nn", "data", "policy", "training", "evaluation", "simulation", "serving",
    "plugin", "experiments",
)  # fmt: skip
# Modules and packages that the reference leaves out, each with the reason.
LEFT_OUT = {
    "recbole_lpi.__main__": "runs the command line and defines nothing",
    "recbole_lpi.cli": "its functions are the commands, which --help describes",
}


def modules() -> dict[str, list[str]]:
    """Importable names by page: a package's modules, or ``recbole_lpi`` for those at the top."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["recbole_lpi", *path.relative_to(PACKAGE).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        name = ".".join(parts)
        private = any(part.startswith("_") and part != "__main__" for part in parts)
        if private or any(f"{name}.".startswith(f"{left}.") for left in LEFT_OUT):
            continue
        is_package = path.name == "__init__.py"
        page = parts[1] if len(parts) > 2 or (is_package and len(parts) > 1) else "recbole_lpi"
        found.setdefault(page, []).append(name)
    return found


def pages() -> dict[str, str]:
    """Markdown by file name."""
    found = modules()
    order = [*(name for name in ORDER if name in found), *sorted({*found} - {*ORDER})]
    written = {"index.md": _index(order)}
    for page in order:
        title = "recbole_lpi" if page == "recbole_lpi" else f"recbole_lpi.{page}"
        lines = [f"# {title}", "", "```{eval-rst}"]
        for name in found[page]:
            lines += [f".. automodule:: {name}", "   :members:"]
        written[f"{page}.md"] = "\n".join([*lines, "```", ""])
    return written


def _index(order: list[str]) -> str:
    entries = "\n".join(order)
    return f"""# API

Every public name, by package. Only `plugin`, and what stands on it, imports RecBole.
[docs/api_pages.py](../api_pages.py) writes these pages.

```{{toctree}}
{entries}
```
"""


if __name__ == "__main__":
    PAGES.mkdir(exist_ok=True)
    written = pages()
    for old in PAGES.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, content in written.items():
        (PAGES / name).write_text(content, encoding="utf-8")
