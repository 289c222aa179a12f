"""What estimates of a finished run need besides its event table: models of rewards and values.

Three are fitted to the training part (``training.fitted_q``), and asked about the test part:

    r(x, a)      of the reward of an event, γ = 0
    Q^π(x, a)    of what an event leads to, if the run's policy π recommends from then on
    Q^μ(x, a)    likewise of the logging policy

Beside them, how far π and μ̂ overlap (``training.overlap``), which needs no fit.

The first and the last are not of π, and shared by runs of the same data. A run keeps its columns in
``values.parquet``, so that they are fitted once.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from recbole_lpi.data.identity import data_hash
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.files import replacing
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.finished_policy import NoNetwork, finished_policy
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError
from recbole_lpi.training.fitted_q import FitSettings, fit_q, value_columns
from recbole_lpi.training.overlap import clusters_of, overlap_columns
from recbole_lpi.training.run_folder import RunFolder

FILE, FITTED_BY = "values.parquet", "fitted_by"
CLUSTERS = 50  # of items, for MIPS and OffCEM
SHARED: dict[tuple[str, str], PolicyNetwork] = {}  # models of no one run's policy, by data and name


def values_of(folder: RunFolder, settings: FitSettings, show: bool = True, **given: Any) -> Path:
    """Return the file with the values of a run's test events, fitted unless that was done before.

    It has a row an event, in the order of ``events.parquet``, and columns session_id, position, q,
    v_pi, v_mu (of the reward), action_value, state_value (Q^π and E_π Q^π), expected_advantage
    (E_π Q^μ − E_μ̂ Q^μ), log_pi_cluster, log_mu_cluster and unsupported.

    Args:
        folder: of the finished run.
        settings: how the models are fitted; their γ is that of Q^π and Q^μ.
        show: whether bars are shown, on a terminal.
        given: settings of the machine that are others here, such as ``data_path``.

    Raises:
        SettingError: the run's policy has no network of ours, or no logging policy.
    """
    path, made = (
        folder.path / FILE,
        json.dumps({**asdict(settings), "clusters": CLUSTERS}, sort_keys=True),
    )
    if path.is_file() and pl.read_parquet_metadata(path).get(FITTED_BY) == made:
        return path
    try:
        found = finished_policy(folder, **given)
    except NoNetwork as error:
        raise SettingError(
            f"{error}: estimates that need a model of its values cannot be had; leave out --values"
        ) from None
    frame = _columns(found.policy, found.logging_policy(), found.train, found.test, settings, show)
    with replacing(path) as scratch:
        frame.write_parquet(scratch, metadata={FITTED_BY: made})
    return path


def _columns(
    policy: PolicyNetwork, mu: PolicyNetwork, train: PolicyDataset, test: PolicyDataset,
    settings: FitSettings, show: bool,
) -> pl.DataFrame:  # fmt: skip
    """Fit what is not fitted yet, and ask it about the test part."""
    of_reward = replace(settings, gamma=0.0)
    reward = _shared("reward", mu, train, of_reward, show)
    of_mu = _shared("Q of the logging policy", mu, train, settings, show)
    _say("Q of the policy")
    of_pi = fit_q(policy, mu.settings, train, settings, show)
    r = value_columns(reward, policy, mu, test)
    q_pi, q_mu = (value_columns(network, policy, mu, test) for network in (of_pi, of_mu))
    clusters = clusters_of(mu, CLUSTERS, settings.seed)
    return pl.DataFrame(
        {
            **_places(test),
            "q": r.q, "v_pi": r.v_pi, "v_mu": r.v_mu,
            "action_value": q_pi.q, "state_value": q_pi.v_pi,
            "expected_advantage": q_mu.v_pi - q_mu.v_mu,
            **overlap_columns(policy, mu, test, clusters)._asdict(),
        }
    )  # fmt: skip


def _shared(
    name: str, mu: PolicyNetwork, train: PolicyDataset, settings: FitSettings, show: bool
) -> PolicyNetwork:
    """Fit a model that is of the logging policy, or take that of an earlier run of this call."""
    key = data_hash(train), f"{name} {settings}"
    if key not in SHARED:
        _say(name)
        SHARED[key] = fit_q(mu, mu.settings, train, settings, show)
    return SHARED[key]


def _places(test: SessionData) -> dict[str, Any]:
    """Which event each row is of, as the event table names them."""
    store, place = test.sessions, test.places
    session = store.offsets.searchsorted(place, side="right") - 1
    tokens = pl.Series(test.session_tokens.tolist(), dtype=pl.String)
    return {"session_id": tokens.gather(session), "position": place - store.offsets[session]}


def _say(name: str) -> None:
    logging.getLogger().info(f"fitting a model of {name} to the training part")
