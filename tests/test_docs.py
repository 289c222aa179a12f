"""The documentation: what it must list, link and not outgrow. Nothing is imported but a script."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\\)\]\(([^()\s]+)\)")
README_WORDS = 600


@pytest.fixture(scope="module")
def api_pages():
    """docs/api_pages.py as a module."""
    spec = importlib.util.spec_from_file_location("api_pages", DOCS / "api_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def words(page: str) -> int:
    """Words of prose and tables: without code blocks, pictures and the targets of links."""
    prose = re.sub(r"!\[.*?\]\(.*?\)", "", FENCE.sub("", page), flags=re.DOTALL)
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    return sum(bool(re.search(r"\w", word)) for word in prose.split())


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def test_the_api_reference_is_that_of_the_modules(api_pages):
    written = {page.name: page.read_text("utf-8") for page in (DOCS / "api").glob("*.md")}
    assert written == api_pages.pages(), "run python docs/api_pages.py"


def test_every_public_symbol_is_in_the_api_reference(api_pages):
    text = "\n".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    documented = set(re.findall(r"automodule:: (\S+)\n +:members:\n", text))
    missing = []
    for path in (ROOT / "recbole_lpi").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        left_out = any(f"{name}.".startswith(f"{left}.") for left in api_pages.LEFT_OUT)
        if name in documented or left_out or any(p.startswith("_") for p in name.split(".")):
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith("_") and ast.get_docstring(node):
                missing.append(f"{name}.{node.name}")
    assert not missing, "run python docs/api_pages.py"


def test_what_the_api_reference_leaves_out_exists(api_pages):
    for name, reason in api_pages.LEFT_OUT.items():
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").is_file() or path.joinpath("__init__.py").is_file(), name
        assert reason


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        assert found.exists(), f"{target}: no such file"
        if anchor:
            assert anchor in anchors(found), f"{target}: no such heading"


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in DOCS.rglob("*.md"):
        for tree in re.findall(r"^```{toctree}(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            entries = [line for line in tree.splitlines()[1:] if line and line[0] != ":"]
            listed |= {(page.parent / f"{entry}.md").resolve() for entry in entries}
    assert {p.resolve() for p in PAGES if p.parent != ROOT} - listed == {DOCS / "index.md"}


def test_pages_that_the_code_names_exist():
    files = [*ROOT.glob("*.py"), *ROOT.glob("*.toml"), ROOT / "Makefile"]
    for folder in ("recbole_lpi", "dataset_prep", "benchmarks", "properties", "tests"):
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml")]
    for path in files:
        for named in re.findall(r"docs/[\w/-]+\.(?:md|svg)", path.read_text("utf-8")):
            assert (ROOT / named).exists(), f"{path.relative_to(ROOT)} names {named}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_the_pages_name_exist(page):
    folders = "recbole_lpi|dataset_prep|benchmarks|properties|tests"
    text = page.read_text("utf-8")
    for named in re.findall(rf"(?<![\w/.-])((?:{folders})/[\w/.-]+\.(?:py|yaml|txt))", text):
        assert (ROOT / named).is_file(), f"{page.relative_to(ROOT)} names {named}"


def test_the_readme_stays_short():
    assert words((ROOT / "README.md").read_text("utf-8")) <= README_WORDS
