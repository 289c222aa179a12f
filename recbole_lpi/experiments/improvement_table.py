"""Whether finished runs improve on their log's own policy, by the off-policy estimate of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recbole_lpi import text
from recbole_lpi.evaluation.off_policy import ReportSettings, read_logged_events, report_on
from recbole_lpi.training.run_folder import RunFolder

SETTINGS = ReportSettings(resamples=0, estimators=("delta_snips",))


def improvement_table(runs: Sequence[Path]) -> str:
    """Return a table in Markdown: of each run Δ-SNIPS on its test part, its bound and the verdict.

    Propensities are those of the log where it has any, or else the estimate μ̂. What the numbers
    cannot mean is said beneath.
    """
    lines = ["| run | Δ-SNIPS, an event | at least | verdict |", "| - | -: | -: | - |"]
    warnings: dict[str, None] = {}
    for run in runs:
        found = report_on(str(run), read_logged_events(RunFolder(run).events), SETTINGS)
        cells = ["–", "–", "; ".join(found.not_made.values())]
        for row in found.estimates:
            value, verdict = f"{row.value:+.4g} ± {row.stderr:.2g}", row.verdict
            cells = [value, f"{row.t.lower:+.4g}", str(verdict)]
        lines.append(f"| {text.markdown(run)} | " + " | ".join(map(text.markdown, cells)) + " |")
        warnings |= dict.fromkeys(found.warnings)
    return "\n".join([*lines, *(f"\n{warning}" for warning in warnings)]) + "\n"
