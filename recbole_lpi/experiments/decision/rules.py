"""Ship, hold or cannot tell: the rules, and the sentence that each gives.

In this order, the first that holds decides:

1. JS above the budget                                             hold
2. estimates may decide (impressions were logged):
   not usable                                                      cannot tell
   the improvement is at most < 0                                  hold
   it is at least > 0, and JS is known                             ship
   else                                                            cannot tell
3. ranks decide (engaged items alone were logged):
   not measured beside what runs now                               cannot tell
   a rule without parameters is ahead, or ranks are surely worse   hold
   ranks are surely better, and JS is known                        ship
   else                                                            cannot tell

"At least" and "at most" are one-sided bounds, "surely" a two-sided test, both at the level, and
both corrected for the number of policies that the report is about. Without a budget, JS need not be
known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recbole_lpi.experiments.decision.wording import relative, signed

Word = Literal["ship", "hold", "cannot tell"]
ORDER: tuple[Word, ...] = ("ship", "cannot tell", "hold")


@dataclass(frozen=True)
class Rules:
    """How much a policy may move, and how sure a finding is to be. ValueError names the setting.

    Attributes:
        max_js: the budget of JS divergence from the logging policy, in nats; None: none. 0.2 is
            what a simulated shop that logs engaged items suggests: of 18 policies learnt there,
            the 3 beyond it earned less than what had made the log, and no other did
            (docs/decision-report.md).
        level: of bounds and tests.
        k: the cut-off of ranking metrics.
    """

    max_js: float | None = 0.2
    level: float = 0.95
    k: int = 20

    def __post_init__(self) -> None:
        if self.max_js is not None and not self.max_js >= 0:
            raise ValueError(f"max_js must be ≥ 0, or none, got {self.max_js}")
        if not 0.5 < self.level < 1:
            raise ValueError(f"level must be between 0.5 and 1, got {self.level}")
        if self.k < 1:
            raise ValueError(f"topk must be ≥ 1, got {self.k}")


@dataclass(frozen=True)
class Improvement:
    """A difference to what runs now, and its one-sided bounds.

    Attributes:
        name: of the number, as a sentence has it: ``reward per event``.
        difference: the policy's, less that of what runs now.
        at_least, at_most: one-sided bounds at the level.
        surely: the side of 0 that a test puts it on: 1, −1, or 0 where it does not.
        baseline: the number of what runs now, which the difference is a share of.
        taken: what a ranking metric ranks, as a sentence begins.
    """

    name: str
    difference: float
    at_least: float
    at_most: float
    surely: int
    baseline: float
    taken: str = "The next item"


@dataclass(frozen=True)
class FloorAhead:
    """A rule without parameters that ranks better than the policy does."""

    name: str
    floor: float
    own: float


@dataclass(frozen=True)
class Evidence:
    """What a decision is passed on.

    Attributes:
        against: what the policy is compared with, as a sentence has it.
        estimates_decide: whether the log has what was shown and not taken.
        value: the off-policy estimate of the improvement; None: it may not be used.
        refusal: why it may not; empty if it may.
        ranks: the difference of the ranking metric that matters; None: it was not measured.
        js: divergence from the logging policy, in nats; None: not known.
        floor: the rule without parameters that is ahead; None: none is.
    """

    against: str
    estimates_decide: bool
    value: Improvement | None = None
    refusal: str = ""
    ranks: Improvement | None = None
    js: float | None = None
    floor: FloorAhead | None = None


@dataclass(frozen=True)
class Decision:
    """A decision with its reason, a sentence, and how it was reached.

    Attributes:
        word: ship, hold or cannot tell.
        reason: why, a sentence.
        by: what decided: ``distance``, ``estimate`` or ``ranks``.
    """

    word: Word
    reason: str
    by: Literal["distance", "estimate", "ranks"]


def decide(evidence: Evidence, rules: Rules) -> Decision:
    """Return the decision by the rules of this module."""
    if rules.max_js is not None and evidence.js is not None and evidence.js > rules.max_js:
        return Decision("hold", _too_far(evidence.js, rules.max_js), "distance")
    found = _by_estimate(evidence) if evidence.estimates_decide else _by_ranks(evidence)
    if found.word == "ship" and rules.max_js is not None and evidence.js is None:
        unknown = (
            "how far it moves from the logging policy was not measured, and there is a budget of "
            f"JS {rules.max_js:g}."
        )
        return Decision("cannot tell", f"It looks better, but {unknown}", "distance")
    return found


def _too_far(js: float, most: float) -> str:
    return (
        f"It moves further from the logging policy than the budget allows, JS {js:.3f} of "
        f"{most:g}: the log says little of what it would show."
    )


def _by_estimate(evidence: Evidence) -> Decision:
    found, against = evidence.value, evidence.against
    if found is None:
        reason = f"What it would earn cannot be estimated from this log: {evidence.refusal}."
        return Decision("cannot tell", reason, "estimate")
    change = relative(found.difference, found.baseline)
    least, most = signed(found.at_least), signed(found.at_most)
    spelled = f"{found.name} {signed(found.difference)} beside {against}, {change}"
    if found.at_most < 0:
        return Decision("hold", f"It would earn less: {spelled}, and at most {most}.", "estimate")
    if found.at_least > 0:
        return Decision("ship", f"It would earn more: {spelled}, and at least {least}.", "estimate")
    reason = f"It may earn more or less: {spelled}, anywhere from {least} to {most}."
    return Decision("cannot tell", reason, "estimate")


def _by_ranks(evidence: Evidence) -> Decision:
    found, floor = evidence.ranks, evidence.floor
    if found is None:
        reason = f"No ranks of {evidence.against} were measured, so there is nothing to compare."
        return Decision("cannot tell", reason, "ranks")
    if floor is not None:
        reason = (
            f"{floor.name.capitalize()}, a rule without parameters, does better: {found.name} "
            f"{floor.floor:.4f}, the policy {floor.own:.4f}."
        )
        return Decision("hold", reason, "ranks")
    change = relative(found.difference, found.baseline)
    spelled = f"{found.name} {signed(found.difference)} beside {evidence.against}, {change}"
    taken = found.taken
    if found.surely < 0:
        return Decision("hold", f"{taken} stands lower in its lists: {spelled}.", "ranks")
    if found.surely > 0:
        return Decision("ship", f"{taken} stands higher in its lists: {spelled}.", "ranks")
    reason = f"{taken} stands neither surely higher nor surely lower: {spelled}."
    return Decision("cannot tell", reason, "ranks")
