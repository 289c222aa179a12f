"""Everything that the page of a decision report shows, gathered from finished runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.comparison import ComparedPolicy, Comparison, compare
from recbole_lpi.experiments.decision.baseline import Baseline, baseline
from recbole_lpi.experiments.decision.choices import Concentration
from recbole_lpi.experiments.decision.evidence import Court, Judged, Measured
from recbole_lpi.experiments.decision.examples import Example, examples
from recbole_lpi.experiments.decision.logs import deciding_metric, kind_of
from recbole_lpi.experiments.decision.rules import ORDER, Rules
from recbole_lpi.experiments.decision.sections import (
    SegmentTable,
    Setting,
    commands,
    concentrations,
    segment_tables,
    settings_that_differ,
)
from recbole_lpi.experiments.decision.source import Attributes, Source, read_source
from recbole_lpi.experiments.runs import FinishedRun, load_comparable
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.settings import SettingError

Say = Callable[[str], None]


@dataclass(frozen=True)
class Content:
    """What a decision report says.

    Attributes:
        court: what all policies are judged by.
        judged: the policies, the one to speak of first.
        comparison: all policies and what runs now, as ``compare`` has them.
        segments: of each policy, by label.
        concentration: of first choices: the log's own, what runs now, each policy.
        examples: of the first policy; no_examples: why there are none.
        data: the log and its parts; no_data: why nothing is known of them.
        columns: the policies that settings are told of; settings: in which they differ.
        commands: that reproduce runs and report.
        no_baseline: why there are no ranks of what runs now; empty if there are.
    """

    court: Court
    judged: list[Judged]
    comparison: Comparison
    segments: dict[str, list[SegmentTable]]
    concentration: list[Concentration]
    examples: list[Example]
    no_examples: str
    data: list[Attributes]
    no_data: str
    columns: list[str]
    settings: list[Setting]
    commands: list[str]
    no_baseline: str

    @property
    def first(self) -> Judged:
        """The policy to speak of first."""
        return self.judged[0]


def gather(
    runs: Sequence[Path],
    against: Sequence[Path],
    rules: Rules,
    output: Path,
    data_path: Path | None = None,
    say: Say = lambda said: None,
) -> Content:
    """Gather a report on finished runs.

    Args:
        runs: their folders; runs of one policy with different seeds are one policy.
        against: runs of what they are compared with; empty: of their logging policy.
        rules: of the decision.
        output: where the report will be, for the commands that reproduce it.
        data_path: where the data are, if not where the runs read them.
        say: is told what is done next.

    Raises:
        SettingError: as of ``compare``; or there is no policy beside what they are compared with.
    """
    if not (given_paths := [path for path in runs if path not in against]):
        raise SettingError("every run is one of --against: name a run to decide on")
    given = load_comparable(given_paths)
    say("reading the data")
    source, no_data = _source(given[0], data_path)
    base = baseline(given, against, source, say)
    every = list(dict.fromkeys([*base.runs, *(run.folder.path for run in given)]))
    loaded = {run.folder.path: run for run in load_comparable(every)}
    say("estimating what policies would earn")
    comparison = with_beta(compare(every, metrics(rules.k)), loaded)
    court, own = _court(comparison, loaded, base, rules)
    judged = sorted(court.judge(own), key=_importance)
    shown, no_examples = _examples(judged[0], court, source, say)
    columns = [*([court.base] if court.base else []), *(one.own for one in judged)]
    return Content(
        court,
        judged,
        comparison,
        {one.label: segment_tables(one.own, court) for one in judged},
        concentrations(columns),
        shown,
        no_data or no_examples,
        source.attributes(court.kinds) if source else [],
        no_data,
        [one.policy.label for one in columns],
        settings_that_differ(columns),
        commands(list(loaded.values()), runs, against, rules, output),
        base.missing,
    )


def metrics(k: int) -> list[str]:
    """Name the metrics of the tables of a report, at a cut-off."""
    kinds = [
        f"{kind}{name}@{k}" for kind in ("purchase_", "click_", "") for name in ("ndcg", "hit")
    ]
    return [*kinds, "nll", "js_divergence", "kl_divergence"]


def with_beta(comparison: Comparison, runs: Mapping[Path, FinishedRun]) -> Comparison:
    """Name β of every policy that reads it, also where no other of its model has another."""

    def named(policy: ComparedPolicy) -> ComparedPolicy:
        objective = OBJECTIVES.get(policy.model)
        if objective is None or "beta" not in objective.reads or "beta" in policy.differing:
            return policy
        beta = runs[policy.folders[0]].settings.get("beta")
        return replace(policy, differing={"beta": beta, **policy.differing})

    return replace(comparison, policies=tuple(map(named, comparison.policies)))


def _source(run: FinishedRun, data_path: Path | None) -> tuple[Source | None, str]:
    """Read the data of a run, or say why that cannot be."""
    given = {} if data_path is None else {"data_path": str(data_path)}
    try:
        return read_source(run, **given), ""
    except SettingError as error:
        return None, str(error).partition("\n")[0]


def _court(
    comparison: Comparison, loaded: Mapping[Path, FinishedRun], base: Baseline, rules: Rules
) -> tuple[Court, list[Measured]]:
    """Set what policies are judged by, and read all that there is of them."""
    of_base = [one for one in comparison.policies if set(one.folders) & set(base.runs)]
    if len(of_base) > 1:
        labels = ", ".join(one.label for one in of_base)
        raise SettingError(f"--against names several policies, {labels}: name runs of one")
    policies = [one for one in comparison.policies if one not in of_base]
    if not policies:
        raise SettingError("every run is one of --against: name a run to decide on")
    own = [Measured.of(one, loaded, rules.level) for one in policies]
    now = Measured.of(of_base[0], loaded, rules.level) if of_base else None
    run, table = own[0].runs[0], own[0].tables[0]
    log = kind_of(table, run.kinds)
    against = _against(base, now, log.impressions)
    metric = deciding_metric(table, run.kinds, rules.k)
    taken = what_is_ranked(comparison, metric)
    return Court(rules, log, run.kinds, metric, now, base.is_log, against, taken), own


def what_is_ranked(comparison: Comparison, metric: str) -> str:
    """Name what a metric ranks, with what the log calls it: ``The next purchase (liked)``."""
    kind = Metric.parse(metric).kind
    if kind is None:
        return "The next item"
    names = set(comparison.events[kind])
    called = "" if names <= {kind} else f" ({' or '.join(sorted(names))})"
    return f"The next {kind}{called}"


def _against(base: Baseline, now: Measured | None, impressions: bool) -> str:
    """Name what policies are compared with, as a sentence has it."""
    if not base.is_log and now is not None:
        return now.policy.label
    return "the log" if impressions else "the logging policy"


def _importance(one: Judged) -> tuple[int, float]:
    """Sort what is to be shipped first, and of equal decisions the larger improvement."""
    found = one.evidence.value or one.evidence.ranks
    return ORDER.index(one.decision.word), -found.difference if found else 0.0


def _examples(
    first: Judged, court: Court, source: Source | None, say: Say
) -> tuple[list[Example], str]:
    """Recommend for some sessions by the first policy and by what runs now, or say why not."""
    if source is None or court.base is None:
        return [], "there is no run of what it is compared with"
    say("recommending for ten sessions")
    base, own = court.base, first.own
    try:
        found = examples(
            (base.runs[0], own.runs[0]), (base.tables[0], own.tables[0]), court.metric, source
        )
    except SettingError as error:
        return [], str(error)
    return found, ""
