"""What the first screen says: the decision in words, its numbers, what they cannot mean."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.decision.content import Content
from recbole_lpi.experiments.decision.evidence import Court, Judged, metric_words
from recbole_lpi.experiments.decision.rules import ORDER, Improvement, Word
from recbole_lpi.experiments.decision.wording import p_value, relative, sentence, share, signed

HEADLINE: dict[Word, str] = {
    "ship": "Ship {}", "hold": "Hold {}", "cannot tell": "Cannot tell about {}",
}  # fmt: skip


@dataclass(frozen=True)
class Tile:
    """A number of the first screen.

    Attributes:
        name: what it is of.
        value: itself, spelled.
        below: sentences beneath it.
        tone: ``good``, ``bad`` or empty.
        filled: how much of a budget is used, from 0 to 1; None: it has none.
    """

    name: str
    value: str
    below: str
    tone: str = ""
    filled: float | None = None


@dataclass(frozen=True)
class FirstScreen:
    """The first screen.

    Attributes:
        headline: the decision on the policy to speak of first.
        reason: why; price: what it costs elsewhere, or empty.
        next: what to do.
        tiles: its numbers.
        worse: where it is worse, a sentence; variety: how concentrated its choices are.
        others: how the other policies fare, a sentence; empty: there is none.
        refusals: of policies, why their estimate may not be used.
        warnings: how many there are; undoubted: the policies that there is none of.
    """

    headline: str
    reason: str
    price: str
    next: str
    tiles: list[Tile]
    worse: str
    variety: str
    others: str
    refusals: list[tuple[str, str]]
    warnings: int
    undoubted: list[str]


def first_screen(content: Content) -> FirstScreen:
    """Put the first screen of a report into words."""
    one, court = content.first, content.court
    return FirstScreen(
        HEADLINE[one.decision.word].format(one.label),
        one.decision.reason,
        _price(one, court),
        _next(one, court),
        [_worth(one, court), *_ranks(one, court), _distance(one, court)],
        _worse(content),
        _variety(content),
        _others(content),
        [
            (each.label, refusal)
            for each in content.judged
            if court.log.impressions and (refusal := court.refusal(each.own))
        ],
        sum(len(each.doubts) for each in content.judged),
        [each.label for each in content.judged if not each.doubts],
    )


def _others(content: Content) -> str:
    """How the policies fare together, where there are several."""
    words = Counter(one.decision.word for one in content.judged)
    if len(content.judged) == 1:
        return ""
    told = ", ".join(f"{words[word]} {word}" for word in ORDER if words[word])
    return f"Of {len(content.judged)} policies: {told}. The numbers here are of the first."


def _price(one: Judged, court: Court) -> str:
    """Name the ranking metrics that are surely worse beside the one that decides."""
    if court.log.impressions or court.base is None:
        return ""
    worse = []
    for metric in (f"{kind}_ndcg@{court.rules.k}" for kind in ("purchase", "click")):
        test = one.tests.get(metric)
        if metric == court.metric or test is None:
            continue
        if test.difference < 0 and test.p < 1 - court.rules.level:
            change = relative(test.difference, court.base.policy.cells[metric].mean)
            worse.append(f"{metric_words(metric)} {signed(test.difference)}, {change}")
    told = "That is paid for" if one.decision.word == "ship" else "Lower as well"
    return f"{told}: {'; '.join(worse)}." if worse else ""


def _next(one: Judged, court: Court) -> str:
    """Say what to do after this decision."""
    if one.decision.word == "ship":
        return (
            "Show it to a part of the visitors first, and log what is shown with its propensity: "
            "then what it earns is known and not inferred."
        )
    if one.decision.word == "hold":
        if one.decision.by == "distance":
            return "Train it with a larger β, which keeps it nearer, or show it in an experiment."
        return "Keep what runs now."
    if court.log.impressions:
        return (
            "Keep what runs now. A policy nearer to it (a larger β), or a longer log, can be told; "
            "an experiment tells in any case."
        )
    return "Keep what runs now, or compare in an experiment: this log cannot tell the two apart."


def _worth(one: Judged, court: Court) -> Tile:
    found, name = one.evidence.value, "Reward per event"
    if found is None:
        first = one.evidence.refusal.partition("; ")[0]
        return Tile(name, "cannot be told", sentence(first))
    told = (
        f"{signed(found.difference)} beside {found.baseline:.4f}; at least "
        f"{signed(found.at_least)}, at most {signed(found.at_most)}"
    )
    return Tile(name, relative(found.difference, found.baseline), told, _tone(found))


def _ranks(one: Judged, court: Court) -> list[Tile]:
    """The ranking metrics of each kind, with their tests."""
    found = []
    for kind in ("purchase", "click"):
        metric = f"{kind}_ndcg@{court.rules.k}"
        cell = one.own.policy.cells.get(metric)
        if cell is None or not cell.count:
            continue
        label, name = Metric.parse(metric).label, f"{kind.capitalize()}s"
        if metric not in one.tests or court.base is None:
            found.append(Tile(f"{name}, {label}", f"{cell.mean:.4f}", "Nothing to compare with."))
            continue
        test, base = one.tests[metric], court.base.policy.cells[metric].mean
        sure = test.p < 1 - court.rules.level and not court.log.impressions
        tone = ("good" if test.difference > 0 else "bad") if sure else ""
        told = f"{base:.4f} → {cell.mean:.4f}; {signed(test.difference)}, {p_value(test.p)}"
        if court.log.impressions:
            told += "; decides nothing here"
        found.append(Tile(f"{name}, {label}", relative(test.difference, base), told, tone))
    return found


def _distance(one: Judged, court: Court) -> Tile:
    js, most = one.evidence.js, court.rules.max_js
    name = "Distance from the logging policy"
    if js is None:
        return Tile(name, "not known", "The run was compared with no logging policy.")
    if most is None:
        return Tile(name, f"{js:.3f}", "JS, of 0.693 at most. No budget was set.")
    tone = "bad" if js > most else "good"
    within = f"JS, of a budget of {most:g}. It can be 0.693 at most."
    return Tile(name, f"{js:.3f}", within, tone, min(js / most, 1.0) if most else 1.0)


def _worse(content: Content) -> str:
    """Where the policy to speak of first is worse, in a sentence."""
    tables = content.segments.get(content.first.label, [])
    if not tables:
        return "No segments could be compared."
    if not all(table.usable for table in tables):
        return "No segment can be told, since the estimate may not be used."
    parts = [
        f"in {len(table.worse)} of {len(table.rows)} segments by {table.number}, most of all: "
        f"{table.worse[0].name}"
        for table in tables
        if table.worse
    ]
    if not parts:
        return "It is surely worse in none of the segments."
    return f"It is surely worse {'; and '.join(parts)}."


def _variety(content: Content) -> str:
    """How varied the first choices are of the policy to speak of first, in a sentence."""
    found = {one.name: one for one in content.concentration}
    own, base = found[content.first.label], content.court.base
    label = base.policy.label if base else ""
    now = f", those of {label} as {found[label].as_varied_as:,.0f}" if label else ""
    return (
        f"Its first choices are as varied as {own.as_varied_as:,.0f} equally frequent items{now}, "
        f"what was logged as {content.concentration[0].as_varied_as:,.0f}; the ten most frequent "
        f"have {share(own.top_ten)}."
    )


def _tone(found: Improvement) -> str:
    return "good" if found.at_least > 0 else "bad" if found.at_most < 0 else ""
