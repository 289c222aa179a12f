"""What finished runs say of each policy beside what runs now, and the decision on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy import stats

from recbole_lpi.evaluation.event_table import EventTable, read_events
from recbole_lpi.evaluation.measures import Kinds
from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.evaluation.off_policy import LoggedEvents
from recbole_lpi.evaluation.scores import PolicyScore
from recbole_lpi.evaluation.significance import PairedDifference, holm, paired
from recbole_lpi.experiments.comparison import ComparedPolicy
from recbole_lpi.experiments.decision import doubts, estimates
from recbole_lpi.experiments.decision.estimates import RunEstimates
from recbole_lpi.experiments.decision.logs import LogKind
from recbole_lpi.experiments.decision.rules import Decision, Evidence, Improvement, Rules, decide
from recbole_lpi.experiments.runs import FinishedRun

VALUE = "reward per event"


@dataclass(frozen=True)
class Measured:
    """A policy with all its runs: their event tables, and what the log says of each.

    Attributes:
        policy: as a comparison has it.
        runs: of it, one a seed.
        tables: the event table of each.
        estimates: of each, from the log.
    """

    policy: ComparedPolicy
    runs: tuple[FinishedRun, ...]
    tables: tuple[EventTable, ...]
    estimates: tuple[RunEstimates, ...]

    @classmethod
    def of(cls, policy: ComparedPolicy, runs: Mapping[Path, FinishedRun], level: float) -> Measured:
        """Read the event tables of a policy's runs."""
        own = tuple(runs[folder] for folder in policy.folders)
        return cls(
            policy,
            own,
            tuple(read_events(run.folder.events) for run in own),
            tuple(estimates.estimate(policy.label, run.folder.events, level) for run in own),
        )

    @property
    def refusal(self) -> str:
        """Why the estimate of the improvement may not be used; empty if it may."""
        return next((one.refusal for one in self.estimates if one.refusal), "")

    @property
    def js(self) -> float | None:
        """Divergence from the logging policy, the mean over runs; None: not measured."""
        cell = self.policy.cells.get("js_divergence")
        return cell.mean if cell is not None and cell.count else None

    @cached_property
    def events(self) -> list[LoggedEvents]:
        """The events of the test part with the weights of each run."""
        return [one.events for one in self.estimates]


@dataclass(frozen=True)
class Judged:
    """A policy with the decision on it, and what that rests on.

    Attributes:
        own: the policy.
        evidence, decision: what was found, and what follows.
        tests: by metric, the difference to what runs now, p adjusted for the number of policies.
        value: the difference of the estimated reward per event, usable or not; None: no estimate.
        doubts: what may be unsound, a sentence each.
    """

    own: Measured
    evidence: Evidence
    decision: Decision
    tests: dict[str, PairedDifference]
    value: PairedDifference | None
    doubts: tuple[str, ...] = field(default=())

    @property
    def label(self) -> str:
        """The policy's name."""
        return self.own.policy.label


@dataclass(frozen=True)
class Court:
    """What all policies are judged by.

    Attributes:
        rules: of the decision.
        log: what it is of.
        kinds: the events that count as purchases and as clicks.
        metric: the ranking metric that matters.
        base: what runs now; None: no run of it was measured.
        is_log: whether values are compared with the log's own.
        against: what runs now, as a sentence has it.
        taken: what the metric ranks, as a sentence begins.
    """

    rules: Rules
    log: LogKind
    kinds: Kinds
    metric: str
    base: Measured | None
    is_log: bool
    against: str
    taken: str

    @property
    def number(self) -> str:
        """The number that decides, as a sentence has it."""
        return VALUE if self.log.impressions else metric_words(self.metric)

    def usable(self, own: Measured) -> bool:
        """Whether the number that decides may be used of a policy."""
        return not (self.log.impressions and self.refusal(own))

    def refusal(self, own: Measured) -> str:
        """Why the estimate of a policy's improvement may not be used; empty if it may."""
        if not self.log.impressions:
            return "the log has what was engaged with only, and not what was shown and left"
        return own.refusal or ("" if self.is_log or self.base is None else self.base.refusal)

    def judge(self, policies: Sequence[Measured]) -> list[Judged]:
        """Judge policies, with bounds and tests corrected for how many there are."""
        tests = self._tests(policies)
        level = 1 - (1 - self.rules.level) / max(len(policies), 1)
        found = [self._judged(one, own, level) for one, own in zip(policies, tests, strict=True)]
        return found

    def value(self, own: Measured, chosen: np.ndarray | None = None) -> PairedDifference | None:
        """Test the improvement of a policy in reward per event, on all or on chosen events [N]."""
        if not own.events or not all(events.has_log_mu for events in own.events):
            return None
        return paired(*self.value_scores(own, chosen))

    def value_scores(
        self, own: Measured, chosen: np.ndarray | None = None
    ) -> tuple[PolicyScore, PolicyScore]:
        """Score what runs now and a policy by their improvement on the log."""
        of = own.events if chosen is None else [estimates.at(one, chosen) for one in own.events]
        if self.is_log or self.base is None:
            return estimates.of_the_log(of[0]), estimates.of_policy(of)
        base = self.base.events
        if chosen is not None:
            base = [estimates.at(one, chosen) for one in base]
        return estimates.of_policy(base), estimates.of_policy(of)

    def _tests(self, policies: Sequence[Measured]) -> list[dict[str, PairedDifference]]:
        """Test each metric of each policy, p adjusted for the number of policies."""
        found: list[dict[str, PairedDifference]] = [{} for _ in policies]
        if self.base is None:
            return found
        for metric, score in self.base.policy.scores.items():
            if Metric.parse(metric).neutral or not score.count:
                continue
            rows = [n for n, one in enumerate(policies) if metric in one.policy.scores]
            tests = [paired(score, policies[n].policy.scores[metric]) for n in rows]
            for n, test, p in zip(rows, tests, holm([test.p for test in tests]), strict=True):
                found[n][metric] = PairedDifference(
                    test.difference, test.stderr, test.t, test.dof, p, test.sessions
                )
        return found

    def _judged(self, own: Measured, tests: dict[str, PairedDifference], level: float) -> Judged:
        value, floor = self.value(own), None
        refusal = self.refusal(own)
        cell = own.policy.cells.get(self.metric)
        if cell is not None:
            floor = doubts.floor_ahead(own.runs[0], self.metric, cell.mean)
        ranks = None
        if self.base is not None and self.metric in tests:
            base = self.base.policy.cells[self.metric].mean
            ranks = self._improvement(metric_words(self.metric), tests[self.metric], level, base)
        worth = None
        if value is not None and not refusal:
            log = own.estimates[0].report.log_value.mean
            worth = self._improvement(VALUE, value, level, log)
        evidence = Evidence(
            self.against, self.log.impressions, worth, refusal, ranks, own.js, floor
        )
        return Judged(
            own, evidence, decide(evidence, self.rules), tests, value, self._doubts(own, evidence)
        )

    def _improvement(
        self, name: str, test: PairedDifference, level: float, baseline: float
    ) -> Improvement:
        half = float(stats.t.ppf(level, test.dof)) * test.stderr if test.stderr else 0.0
        sure = test.p < 1 - self.rules.level
        return Improvement(
            name, test.difference, test.difference - half, test.difference + half,
            int(np.sign(test.difference)) if sure else 0, baseline,
            self.taken,
        )  # fmt: skip

    def _doubts(self, own: Measured, evidence: Evidence) -> tuple[str, ...]:
        """Gather the doubts of all runs of a policy, each once, with the seeds that it is of."""
        said: dict[str, list[str]] = {}
        for run, table, found in zip(own.runs, own.tables, own.estimates, strict=True):
            weighed = found if self.log.impressions else None
            for doubt in doubts.doubts(run, table, weighed):
                said.setdefault(doubt, []).append(str(run.seed))
        several = len(own.runs) > 1
        told = [
            f"Seed {', '.join(seeds)}: {doubt}" if several and len(seeds) < len(own.runs) else doubt
            for doubt, seeds in said.items()
        ]
        if (floor := evidence.floor) is not None:
            told.append(
                f"{floor.name.capitalize()}, a rule without parameters, is ahead of it in "
                f"{metric_words(self.metric)}: {floor.floor:.4f}, and the policy {floor.own:.4f}."
            )
        if own.policy.of_one_seed:
            told.append("Trained with one seed: what another seed would do is not in any error.")
        return tuple(told)


def metric_words(metric: str) -> str:
    """Spell a metric as a sentence has it: ``purchase nDCG@20``."""
    parsed = Metric.parse(metric)
    return f"{parsed.kind} {parsed.label}" if parsed.kind else parsed.label
