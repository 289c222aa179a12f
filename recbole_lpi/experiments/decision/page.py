"""The page of a decision report: one HTML file that asks no network for anything."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from recbole_lpi import __version__
from recbole_lpi.evaluation.significance import PairedDifference
from recbole_lpi.experiments.decision import wording
from recbole_lpi.experiments.decision.content import Content
from recbole_lpi.experiments.decision.evidence import metric_words
from recbole_lpi.experiments.decision.first_screen import first_screen
from recbole_lpi.experiments.decision.pictures import pictures
from recbole_lpi.files import write_text
from recbole_lpi.text import one_line

SIGMA = 1.96  # standard errors on each side of a 95 % interval


def write_page(content: Content, path: Path) -> None:
    """Write the page, all of it or nothing."""
    write_text(path, page(content))


def page(content: Content) -> str:
    """Return the page. Whatever came from a file or a command line is escaped in it."""
    environment = Environment(
        loader=PackageLoader("recbole_lpi.experiments.decision", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=one_line_of_text,
    )
    environment.filters |= {
        "signed": wording.signed, "number": wording.number, "p": wording.p_value,
        "share": wording.share, "metric": metric_words,
    }  # fmt: skip
    drawn = [(Markup(one.svg), one) for one in pictures(content)]
    return environment.get_template("page.html.j2").render(
        content=content,
        court=content.court,
        screen=first_screen(content),
        pictures=drawn,
        interval=Scale.interval,
        scale=Scale.of,
        today=date.today().isoformat(),
        version=__version__,
    )


def one_line_of_text(value: object) -> object:
    """Spell out control characters of plain text; markup and numbers stay."""
    return one_line(value) if type(value) is str else value


class Scale:
    """An axis of intervals that stand below one another: from −most to most, 0 in the middle."""

    def __init__(self, most: float) -> None:
        self.most = most

    @classmethod
    def of(cls, tests: list[PairedDifference | None]) -> Scale:
        """The axis that holds the 95 % intervals of all tests."""
        ends = [abs(t.difference) + SIGMA * t.stderr for t in tests if t is not None]
        return cls(max([end for end in ends if math.isfinite(end)], default=1.0) or 1.0)

    def interval(self, test: PairedDifference) -> dict[str, float]:
        """Where an interval begins, how wide it is and where its middle is, in % of the axis."""

        def at(value: float) -> float:
            return round(50 + 50 * min(max(value / self.most, -1), 1), 2)

        low, high = (at(test.difference + sign * SIGMA * test.stderr) for sign in (-1, 1))
        return {"left": low, "width": round(high - low, 2), "middle": at(test.difference)}
