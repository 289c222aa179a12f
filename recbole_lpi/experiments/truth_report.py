"""The truth beside the table: what policies are worth, and which offline number would have known.

Every number that an offline comparison can look at, a ranking metric, an estimate of the value, a
lower bound of it, is judged by what is true (``off_policy.selection``): does it order policies as
their values do, what is the policy worth that it picks, do intervals hold, what does refusing save.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from recbole_lpi import text
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.estimation import PolicyEstimate
from recbole_lpi.evaluation.off_policy.event_files import logs_propensities, read_logged_events
from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport, report_on
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.evaluation.off_policy.selection import OfflineNumber, Selection, judge
from recbole_lpi.experiments.truth import Truth, Worth
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.training.run_folder import RunFolder

RANKING = (
    "purchase_ndcg@20", "click_ndcg@20", "ndcg@20", "reward_weighted_ndcg@20", "average_reward@1",
    "-nll",
)  # fmt: skip
HOW = ReportSettings(resamples=0)


@dataclass(frozen=True)
class KnownRun:
    """A finished run with its truth.

    Attributes:
        row: of the plan, and what tables call it. seed: of the run. beta: of the policy, or None.
        truth: what it is worth.
        metrics: of the test part, by name.
        reports: what the log says of it, by where μ is from: ``logged`` or ``estimated``.
    """

    row: str
    seed: int
    beta: float | None
    truth: Truth
    metrics: dict[str, float]
    reports: dict[str, PolicyReport]


def known_run(row: str, folder: RunFolder, truth: Truth, values: Path | None = None) -> KnownRun:
    """Read a run, and estimate from its test events in every way.

    ``values`` is the file of models of rewards and values, for the estimates that need one.
    """
    config, found = folder.read_config(), folder.read_metrics()["test"]
    reports = {}
    for name, logged in (("logged", True), ("estimated", False)):
        if logged and not logs_propensities(folder.events):
            continue
        events = read_logged_events(folder.events, values, logged)
        if events.has_log_mu:
            reports[name] = report_on(row, events, HOW)
    beta = config.get("beta") if "beta" in OBJECTIVES[config["model"]].reads else None
    return KnownRun(
        row, int(config["seed"]), None if beta is None else float(beta), truth,
        {name: cell["mean"] for name, cell in found.items() if cell["mean"] is not None}, reports,
    )  # fmt: skip


def selections(runs: Sequence[KnownRun], worth: Worth) -> list[Selection]:
    """Judge every offline number over all runs, the ones that order them best first."""
    truth = np.array([run.truth.value.mean for run in runs])
    ranked = [_ranking(name, runs) for name in RANKING]
    numbers = [number for number in ranked if np.isfinite(number.value).any()]
    for source in ("logged", "estimated"):
        if any(source in run.reports for run in runs):
            numbers += _estimates(source, runs)
    found = [judge(number, truth, worth.value.mean) for number in numbers]
    return sorted(found, key=lambda one: -np.nan_to_num(one.rank_correlation, nan=-2))


def _ranking(name: str, runs: Sequence[KnownRun]) -> OfflineNumber:
    sign, metric = (-1.0, name[1:]) if name.startswith("-") else (1.0, name)
    values = [sign * run.metrics.get(metric, float("nan")) for run in runs]
    return OfflineNumber(name, np.array(values))


def _estimates(source: str, runs: Sequence[KnownRun]) -> list[OfflineNumber]:
    """Every estimate, and its lower bound as a number of its own; NaN of runs without."""
    by_run = [_by_name(run.reports.get(source)) for run in runs]
    one = next(run.reports[source] for run in runs if source in run.reports)
    every = {name: row for estimates in by_run for name, row in estimates.items()}
    found = []
    for name, first in every.items():
        rows = [estimates.get(name) for estimates in by_run]
        value, low, high, bound = np.array(
            [
                (row.value, row.t.low, row.t.high, row.t.lower) if row else [np.nan] * 4
                for row in rows
            ]
        ).T
        usable = np.array([bool(row and row.verdict.usable) for row in rows])
        targets = [_target(run, first) for run in runs]
        target, error = np.array([(one.mean, one.stderr) for one in targets]).T
        title, live = f"{first.estimator.title}, μ {source}", _live(one, first)
        found.append(OfflineNumber(title, value, low, high, usable, target, live, error))
        found.append(OfflineNumber(f"{title}, lower bound", bound, usable=usable, live=live))
    return found


def _by_name(found: PolicyReport | None) -> dict[str, PolicyEstimate]:
    return {} if found is None else {row.estimator.name: row for row in found.estimates}


def _live(found: PolicyReport, row: PolicyEstimate) -> float:
    """What an estimate would be of the policy that is live."""
    if row.estimator.improves:
        return 0.0
    per_session = found.events / found.sessions if row.estimator.per == "session" else 1.0
    return found.log_value.mean * per_session


def _target(run: KnownRun, row: PolicyEstimate) -> Estimate:
    """What an estimate is about: a session, or an event that the log leads to."""
    truth, improves = run.truth, row.estimator.improves
    if row.estimator.per == "session":
        return truth.gain if improves else truth.value
    return truth.step.gain if improves else truth.step.value


def markdown(name: str, runs: Sequence[KnownRun], worth: Worth) -> str:
    """Return both tables."""
    return "\n".join([*_truth_lines(name, runs, worth), "", *_selection_lines(runs, worth), ""])


def _truth_lines(name: str, runs: Sequence[KnownRun], worth: Worth) -> list[str]:
    lines = [
        f"# {text.markdown(name)}: the truth beside the table",
        "",
        f"J(μ) is {worth.value.mean:.4f} ± {worth.value.stderr:.4f} rewards a session, "
        f"{worth.event.mean:.4f} an event.",
        "",
        "| policy | seeds | J(π) | J(π) − J(μ) | p | per event | bound of Eq. 7 | KL(π‖μ) | JS |",
        "| - | -: | -: | -: | -: | -: | -: | -: | -: |",
    ]
    for row in dict.fromkeys(run.row for run in runs):
        own = [run for run in runs if run.row == row]
        gain, stderr = over_seeds(own)
        step = {
            key: float(np.mean([getattr(run.truth.step, key).mean for run in own]))
            for key in ("gain", "kl", "js")
        }
        beta = own[0].beta
        bound = "" if beta is None else f"{step['gain'] - beta * step['kl']:+.4f}"
        p = 2 * stats.norm.sf(abs(gain) / stderr)
        lines.append(
            f"| {text.markdown(row)} | {len(own)} | {worth.value.mean + gain:.4f} | "
            f"{gain:+.4f} ± {stderr:.4f} | {_p(p)} | {step['gain']:+.4f} | {bound} | "
            f"{step['kl']:.3f} | {step['js']:.3f} |"
        )
    return [
        *lines,
        "",
        "± is one standard error over users and seeds. Per event: what the policy would earn at "
        "the events that μ leads to, less what μ earns there. The bound is that less β KL(π‖μ). "
        "Divergences are from μ itself, in nats.",
    ]


def over_seeds(runs: Sequence[KnownRun]) -> tuple[float, float]:
    """Return the mean of J(π) − J(μ) over seeds with its error: all were before the same users."""
    gains = np.array([run.truth.gain.mean for run in runs])
    users = float(np.mean([run.truth.gain.stderr**2 for run in runs]))
    seeds = float(gains.var(ddof=1)) / len(gains) if len(gains) > 1 else 0.0
    return float(gains.mean()), float(np.sqrt(users + seeds))


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _selection_lines(runs: Sequence[KnownRun], worth: Worth) -> list[str]:
    lines = [
        "## Which offline number finds the better policy",
        "",
        f"Of {len(runs)} policies, from their test events. Order: Spearman's correlation with "
        "J(π). Regret: by how much the policy that the number picks is below the best there is. "
        "Careful: the same where a policy is picked only if its number is usable and above the "
        "log's own; μ stays where there is none. Held: how often the 95 % interval holds what it "
        "is about, of all and of usable estimates, with the error that the truth itself was "
        "measured with.",
        "",
        "| number | order | regret | careful | usable | held | held, usable |",
        "| - | -: | -: | -: | -: | -: | -: |",
    ]
    for found in selections(runs, worth):
        cells = (
            found.rank_correlation, found.regret, found.careful_regret, found.usable, found.held,
            found.held_usable,
        )  # fmt: skip
        shown = ["" if np.isnan(cell) else f"{cell:.3f}" for cell in cells]
        shown[3] = "" if " μ " not in found.name else f"{found.usable}"
        lines.append(f"| {text.markdown(found.name)} | " + " | ".join(shown) + " |")
    return lines
