"""The page of a tiny run: whole, in a browser of its own; what others named cannot act in it."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from recbole_lpi.evaluation.significance import PairedDifference
from recbole_lpi.experiments.decision.content import gather
from recbole_lpi.experiments.decision.page import Scale, page, write_page
from recbole_lpi.experiments.decision.rules import Rules
from tests.support.logs import SMALL, write_log

pytestmark = pytest.mark.recbole

HOSTILE = "</script><img src=x onerror=document.title=1>"
AXE = os.environ.get("AXE_FILE")  # axe.min.js of axe-core, which this repository does not hold
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The content of a report on a run with a hostile name, on items with hostile titles."""
    from recbole_lpi.plugin.runner import run

    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("page")
        patched.chdir(folder)
        log = write_log(folder / "dataset", sessions=160)
        titles = [f"i{n}\tNumber {n} {HOSTILE}" for n in range(25)]
        log.with_suffix(".item").write_text("item_id:token\ttitle:token_seq\n" + "\n".join(titles))
        own = folder / "runs" / "<img src=x onerror=document.title=2>"
        given = {**SMALL, "epochs": 1, "run_dir": str(own), "split_ratio": [0.4, 0.1, 0.5]}
        run("LPI", "shop", (), {**given, "split_seed": 1, "topk": [20]})
        yield gather([own], [], Rules(max_js=None), folder / "report.html")


def test_the_logging_policy_that_auto_made_is_measured_and_kept(report):
    assert report.court.base is not None and not report.no_baseline
    assert report.court.base.runs[0].folder.events.is_file()
    assert report.first.tests["purchase_ndcg@20"].sessions > 20
    assert len(report.examples) == 10 and len(report.data) == 4


def test_lists_of_examples_agree_with_the_ranks_that_were_measured(report):
    """They are of models loaded anew, on histories read anew."""
    compared = 0
    for example in report.examples:
        for rank, shown in zip(example.ranks, example.lists, strict=True):
            places = [place for place, item in enumerate(shown, 1) if item.logged]
            assert places == ([rank] if rank <= len(shown) else [])
            compared += 1
    assert compared == 20


def test_parts_of_the_log_add_up(report):
    whole, *parts = report.data
    for name in ("sessions", "events", "clicks", "purchases"):
        assert getattr(whole, name) == sum(getattr(part, name) for part in parts)
    assert whole.events == whole.clicks + whole.purchases and whole.items == 25


def test_names_of_others_are_text(report):
    written = page(report)
    assert HOSTILE not in written and "<img" not in written
    assert "&lt;/script&gt;&lt;img src=x onerror" in written
    assert len(re.findall("<script>", written)) == 1
    unseen = replace(report, examples=[], no_examples=f"nothing in {HOSTILE}\x1b[31m")
    assert "\\x1b[31m" in page(unseen) and HOSTILE not in page(unseen)


def test_nothing_is_asked_of_a_network(report):
    assert not re.findall(r'(?:src|href)="(?!#|data:,")', page(report))
    assert "default-src 'none'" in page(report)


def test_intervals_stand_on_one_axis():
    test = PairedDifference(0.5, 0.1, 5.0, 9.0, 0.01, 10)
    axis = Scale.of([test, None, replace(test, stderr=float("nan"))])
    found = axis.interval(test)
    assert found["left"] + found["width"] == pytest.approx(100)
    assert 50 < found["left"] < found["middle"] < 100
    assert Scale.of([None]).most == 1.0


@pytest.fixture(scope="module")
def browser():
    """Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_in_a_browser(report, browser, tmp_path, width, scheme):
    write_page(report, tmp_path / "report.html")
    opened = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda r: said.append(r.url) if not r.url.startswith("file:") else None)
    opened.goto((tmp_path / "report.html").as_uri())
    assert opened.title().startswith(("Ship", "Hold", "Cannot tell"))
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    sorts_by_keyboard(opened)
    every_picture_shows(opened)
    is_accessible(opened)
    if AXE:
        opened.evaluate(Path(AXE).read_text())
        assert opened.evaluate("axe.run()")["violations"] == []
    assert said == []
    opened.close()


def sorts_by_keyboard(opened):
    table = opened.locator("section:has(#worse) table").last  # of clicks, which are many
    for head, kind in (("Difference", float), ("Segment", str)):
        button = table.get_by_role("button", name=head)
        column = button.evaluate("button => button.closest('th').cellIndex")
        before = told(table, column, kind)
        button.focus()
        for key, order in (("Enter", "ascending"), ("Space", "descending")):
            opened.keyboard.press(key)
            assert button.locator("xpath=..").get_attribute("aria-sort") == order
            found = told(table, column, kind)
            assert sorted(found) == sorted(before)
            if kind is float:
                assert found == sorted(found, reverse=order == "descending") and len(found) > 2
        assert table.locator("th[aria-sort]").count() == 1


def told(table, column, kind):
    cells = table.evaluate(
        "(table, n) => [...table.tBodies[0].rows].map(r => r.cells[n].dataset.value ?? "
        "r.cells[n].textContent)",
        column,
    )
    return [kind(cell) for cell in cells if cell != ""]


def every_picture_shows(opened):
    pictures = opened.locator("figure svg")
    assert pictures.count() >= 1
    for number in range(pictures.count()):
        box = pictures.nth(number).bounding_box()
        assert box["width"] > 300 and box["height"] > 150
        drawn = pictures.nth(number).evaluate("svg => svg.querySelectorAll('path').length")
        assert drawn > 5
    assert opened.locator(".verdict svg").bounding_box()["width"] > 30
    assert opened.evaluate("[...document.images].every(image => image.naturalWidth > 0)")


def is_accessible(opened):
    """What axe-core holds a page to, as far as it can be said in a line each."""
    found = opened.evaluate(
        """() => {
        const all = (what) => [...document.querySelectorAll(what)];
        const ids = all("[id]").map((e) => e.id);
        const levels = all("h1, h2, h3, h4").map((e) => Number(e.tagName[1]));
        const names = all("[role=region]").map((e) => e.getAttribute("aria-label"));
        return {
          language: document.documentElement.lang,
          first_headings: all("h1").length,
          landmarks: ["header", "nav", "main", "footer"].every((one) => all(one).length === 1),
          repeated_ids: ids.filter((id, n) => ids.indexOf(id) !== n),
          leaps: levels.some((level, n) => n && level > levels[n - 1] + 1),
          unnamed: all("button, a").filter((e) => !e.textContent.trim()).length,
          unscoped: all("table th:not([scope])").length,
          undescribed: all("svg").filter((e) =>
            !e.closest("[aria-hidden=true]") && !e.closest("[role=img][aria-label]")).length,
          unreachable: all(".scroll, pre").filter((e) => e.tabIndex !== 0).length,
          repeated_names: names.filter((name, n) => !name || names.indexOf(name) !== n),
        };
      }"""
    )
    assert found == {
        "language": "en", "first_headings": 1, "landmarks": True, "repeated_ids": [],
        "leaps": False, "unnamed": 0, "unscoped": 0, "undescribed": 0, "unreachable": 0,
        "repeated_names": [],
    }  # fmt: skip
