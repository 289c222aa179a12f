"""How often intervals of off-policy estimates hold the truth, by verdict, in a known bandit.

    python benchmarks/interval_coverage.py --logs 8000 --resamples 0
    python benchmarks/interval_coverage.py --logs 500

Prints two Markdown tables. A world is a table of contexts × items: a session has a context and a
user who is keen or not, and one to five events. π is further from μ from world to world, from
alike to hopeless. q is off in every cell, so that the direct method is wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from recbole_lpi.evaluation.off_policy import LoggedEvents
from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport, report_on
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings

CONTEXTS, ITEMS, LONGEST = 8, 20, 5
# How peaked μ is, and how far π is from it: standard deviations of logits.
OVERLAPS = {"good": (1.0, 0.5), "fair": (1.0, 1.0), "poor": (2.0, 2.0), "hopeless": (3.0, 8.0)}
KEEN = (0.5, 1.5)  # times the mean reward, each of half of the users
CLUSTERS = 5


@dataclass(frozen=True)
class TabularBandit:
    """A world: policies and mean rewards by context and item, [C, A]."""

    mu: np.ndarray
    pi: np.ndarray
    reward: np.ndarray
    q: np.ndarray

    @classmethod
    def drawn(cls, peaked: float, distance: float, seed: int = 1) -> TabularBandit:
        """A world whose μ has logits of deviation ``peaked``, and π logits ``distance`` from it."""
        draw = np.random.default_rng(seed)
        logits, shift = draw.normal(size=(2, CONTEXTS, ITEMS))
        logits = peaked * logits
        reward = draw.beta(1, 8, (CONTEXTS, ITEMS))
        q = reward * draw.uniform(0.5, 1.2, reward.shape)
        return cls(_softmax(logits), _softmax(logits + distance * shift), reward, q)

    @property
    def value(self) -> float:
        """Mean reward per event under π: contexts are equally likely."""
        return float((self.pi * self.reward).sum(1).mean())

    @property
    def log_value(self) -> float:
        """Mean reward per event under μ."""
        return float((self.mu * self.reward).sum(1).mean())

    def log(self, sessions: int, draw: np.random.Generator) -> LoggedEvents:
        """Log sessions with μ."""
        sizes = draw.integers(1, LONGEST + 1, sessions)
        session = np.repeat(np.arange(sessions), sizes)
        context = draw.integers(CONTEXTS, size=sessions)[session]
        keen = draw.choice(KEEN, sessions)[session]
        past = draw.random((len(session), 1)) > self.mu.cumsum(1)[context]
        item = past.sum(1).clip(max=ITEMS - 1)
        reward = draw.random(len(session)) < keen * self.reward[context, item]
        clusters = np.eye(CLUSTERS)[np.arange(ITEMS) % CLUSTERS]
        log_pi_c, log_mu_c = np.log(self.pi @ clusters), np.log(self.mu @ clusters)
        return LoggedEvents(
            reward=reward.astype(np.float64), log_pi=np.log(self.pi[context, item]),
            log_mu=np.log(self.mu[context, item]), session=session,
            position=np.arange(len(session)) - np.repeat(sizes.cumsum() - sizes, sizes),
            q=self.q[context, item], v_pi=(self.pi * self.q).sum(1)[context],
            v_mu=(self.mu * self.q).sum(1)[context],
            log_pi_cluster=log_pi_c[context, item % CLUSTERS],
            log_mu_cluster=log_mu_c[context, item % CLUSTERS],
        )  # fmt: skip


@dataclass
class Count:
    """How often an estimate had a verdict, and its intervals the truth."""

    logs: int = 0
    t: int = 0
    bootstrap: float = 0  # NaN where no resamples were drawn
    above: int = 0  # the one-sided t bound above the truth

    def row(self) -> list[str]:
        """Cells: logs, shares."""
        shares = [part / self.logs for part in (self.t, self.bootstrap, self.above)]
        return [f"{self.logs:,}", *("–" if share != share else f"{share:.1%}" for share in shares)]


@dataclass
class Coverage:
    """Counts by estimator and verdict, and errors of the bounds that hold for any number."""

    counts: dict[tuple[str, str], Count] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)
    logs: int = 0

    def add(self, report: PolicyReport, world: TabularBandit) -> None:
        """Count one log's report."""
        self.logs += 1
        gain = world.value - world.log_value
        for row in report.estimates:
            if row.estimator.per == "session":  # which asks for a world of several steps
                continue
            truth = gain if row.estimator.improves else world.value
            key = (row.estimator.name, row.verdict.status)
            count = self.counts.setdefault(key, Count())
            count.logs += 1
            count.t += row.t.low <= truth <= row.t.high
            known = row.bootstrap.low == row.bootstrap.low
            count.bootstrap += row.bootstrap.low <= truth <= row.bootstrap.high if known else np.nan
            count.above += row.t.lower > truth
        for name, bound in vars(report.bounds).items():
            truth = {"improvement": gain, "mean_weight": 1.0}.get(name, world.value)
            self.bounds[name] = self.bounds.get(name, 0) + (bound is not None and bound > truth)


def cover(world: TabularBandit, logs: int, sessions: int, resamples: int, seed: int) -> Coverage:
    """Count over ``logs`` logs of a world."""
    found = Coverage()
    for number in range(logs):
        draw = np.random.default_rng([seed, number])
        settings = ReportSettings(resamples=resamples, seed=number, largest_reward=1.0)
        found.add(report_on("π", world.log(sessions, draw), settings), world)
    return found


def table(coverages: dict[str, Coverage]) -> Iterator[str]:
    """Markdown: a row for each world, estimator and verdict."""
    head = ["overlap", "estimator", "verdict", "logs", "t holds", "bootstrap holds", "t bound errs"]
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join(['-'] * 3 + ['-:'] * 4)} |"
    for overlap, coverage in coverages.items():
        for (name, verdict), count in sorted(coverage.counts.items()):
            yield f"| {' | '.join([overlap, name, verdict, *count.row()])} |"


def bounds_table(coverages: dict[str, Coverage]) -> Iterator[str]:
    """Markdown: how often each finite-sample bound was above the truth."""
    yield "| overlap | bound | logs | errs |"
    yield "| - | - | -: | -: |"
    for overlap, coverage in coverages.items():
        for name, errors in coverage.bounds.items():
            yield f"| {overlap} | {name} | {coverage.logs} | {errors / coverage.logs:.1%} |"


def _softmax(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exp / exp.sum(1, keepdims=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--logs", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0, help="of the logs")
    parser.add_argument("--world", type=int, default=1, help="seed of the worlds")
    given = parser.parse_args()
    coverages = {
        overlap: cover(
            TabularBandit.drawn(*shape, given.world),
            given.logs,
            given.sessions,
            given.resamples,
            given.seed,
        )
        for overlap, shape in OVERLAPS.items()
    }
    print("\n".join(table(coverages)), "\n")
    print("\n".join(bounds_table(coverages)))


if __name__ == "__main__":
    main()
