"""How far importance weights between estimates of a logging policy are from 1, and what mends it.

    python benchmarks/logging_policy_ensemble.py runs/mu/seed=1 runs/mu/seed=2 runs/mu/seed=3

The runs are of ``LoggingPolicy``, on the same data, with other seeds. Each in turn is the policy π;
μ̂ is the mean of the probabilities of k others, for every k, alone and mixed with counts, which are
popularity, the session's own items, its last item and uniform; EM fits the weights to validation.
If μ̂ were right, π/μ̂ would average 1 over what was logged, for every π.

Prints for each k, in the test part: the mean negative log likelihood of μ̂ in nats; the mean of π/μ̂
with its standard error, clustered by session, both averaged over the choices of π; and the share of
events that is left as effective sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from recbole_lpi.data import SessionData
from recbole_lpi.evaluation.event_ranking import EvaluationPass, rank_policy
from recbole_lpi.evaluation.likelihood_floor import (
    component_probabilities,
    fit_floor,
    fit_weights,
)
from recbole_lpi.evaluation.propensity_quality import importance_weights
from recbole_lpi.plugin.finished_policy import FinishedPolicy, finished_policy
from recbole_lpi.training.run_folder import RunFolder

CHOICES = 10  # of the k others, at most


class Part(NamedTuple):
    """What is given to the N logged items of a part: by runs [N, S] and by counts [N, 4]."""

    runs: np.ndarray
    counts: np.ndarray
    session: np.ndarray


class Row(NamedTuple):
    """Of one μ̂: its NLL, the mean of π/μ̂ and its error, and the effective share of events."""

    nll: float
    mean: float
    stderr: float
    effective: float


@torch.no_grad()
def probabilities(policy: FinishedPolicy, part: SessionData) -> np.ndarray:
    """Return what a policy gives the logged items of a part, [N]."""
    device = policy.policy.item_embedding.weight.device
    how = EvaluationPass(policy.config["eval_batch_size"], device)
    return np.exp(rank_policy(policy.policy, part, how).log_pi.astype(np.float64))


def part_of(policies: list[FinishedPolicy], name: str, popularity: np.ndarray) -> Part:
    """Return the columns of the part ``valid`` or ``test``."""
    part: SessionData = getattr(policies[0], name)
    given = [probabilities(each, getattr(each, name)) for each in policies]
    counts = component_probabilities(part.sessions, part.places, popularity)
    session = part.sessions.offsets.searchsorted(part.places, side="right") - 1
    return Part(np.stack(given, axis=1), counts, session)


def rows(valid: Part, test: Part, number: int, mixed: bool) -> Iterator[Row]:
    """Yield the rows of each π with some choices of ``number`` others."""
    runs = range(test.runs.shape[1])
    for pi in runs:
        for others in list(combinations([run for run in runs if run != pi], number))[:CHOICES]:
            mu = test.runs[:, others].mean(1)
            if mixed:
                fitted = np.column_stack([valid.runs[:, others].mean(1), valid.counts])
                weights = fit_weights(fitted).weights
                mu = np.column_stack([mu, test.counts]) @ weights
            found = importance_weights(np.log(test.runs[:, pi]), np.log(mu), test.session)
            yield Row(
                -float(np.log(mu).mean()), found.mean.mean, found.mean.stderr,
                found.effective / len(mu),
            )  # fmt: skip


def main(
    runs: Annotated[list[Path], typer.Argument(help="folders of runs of LoggingPolicy")],
    data_path: Annotated[str, typer.Option(help="folder of the data sets")] = "dataset",
    session_cache_dir: Annotated[str, typer.Option(help="folder of read logs")] = "runs/sessions",
) -> None:
    if len(runs) < 2:
        raise typer.BadParameter("give two runs of LoggingPolicy or more, of other seeds")
    where = {"data_path": data_path, "session_cache_dir": session_cache_dir}
    policies = [finished_policy(RunFolder(run), **where) for run in runs]
    popularity = fit_floor(policies[0].train, policies[0].valid).popularity
    valid, test = (part_of(policies, name, popularity) for name in ("valid", "test"))
    print("| seeds in μ̂ | with counts | NLL | mean π/μ̂ | effective |\n| -: | - | -: | -: | -: |")
    for number in range(1, len(runs)):
        for mixed in (False, True):
            nll, mean, stderr, share = np.mean(list(rows(valid, test, number, mixed)), axis=0)
            print(
                f"| {number} | {'yes' if mixed else 'no'} | {nll:.3f} | {mean:.3f} ± {stderr:.3f} "
                f"| {share:.0%} |"
            )


if __name__ == "__main__":
    typer.run(main)
