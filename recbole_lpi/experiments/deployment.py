"""Repeated deployment: a policy logs, another learns from the log, is deployed, logs, and so on.

The paper's introduction asks for policies that are safe to do this with. In a simulated world the
value of every policy that is deployed on the way is known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.experiments.deployment_plan import Contender, DeploymentSettings
from recbole_lpi.files import write_json
from recbole_lpi.nn.divergences import jensen_shannon
from recbole_lpi.plugin.properties import defaults
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings
from recbole_lpi.settings import Values
from recbole_lpi.simulation.histories import Policy, histories_of
from recbole_lpi.simulation.networks import policy_of
from recbole_lpi.simulation.rollout import Rollout, mean_of, roll_out
from recbole_lpi.simulation.world import World
from recbole_lpi.training import TrainingSettings, train_policy

OTHER_USERS = 10_000  # added to seeds, so that those whom values are of are in no log
COMPARED = 200  # sessions of the log on which two policies are compared


class Round(NamedTuple):
    """What came of one deployment.

    Attributes:
        number: from 1.
        value: J(π), the mean reward of a session.
        gain: J(π) − J(μ₀) of the first logging policy, before the same users.
        step: J(π) less the value of the policy that logged.
        js: divergence from the policy that logged, in its log, in nats.
    """

    number: int
    value: Estimate
    gain: Estimate
    step: Estimate
    js: float


def deploy(
    world: World, contender: Contender, settings: DeploymentSettings, seed: int
) -> Iterator[Round]:
    """Deploy one policy after another, each learnt from the log of the one before.

    The same seed meets the same users, whoever learns.

    Args:
        world: where; its logging policy is the first.
        contender: who learns.
        settings: how often, and from how much.
        seed: of logs, networks and users.
    """
    users = OTHER_USERS + seed

    def rewards(policy: Policy) -> np.ndarray:
        return roll_out(world, policy, settings.rollouts, users).rewards

    live: Policy = world.logging_policy
    first = rewards(live)
    before = first
    for number in range(1, settings.rounds + 1):
        log = roll_out(world, live, settings.sessions, 100 * seed + number)
        policy = policy_of(learn(world, log, contender, settings, seed))
        own = rewards(policy)
        js = divergence(policy, live, log.sessions)
        yield Round(number, mean_of(own), mean_of(own - first), mean_of(own - before), js)
        live, before = policy, own


def learn(
    world: World, log: Rollout, contender: Contender, settings: DeploymentSettings, seed: int
) -> PolicyNetwork:
    """Train a policy on a log, with the settings of its property file but for what is said."""
    length = world.max_events
    given = {
        **defaults(contender.model, "simulated"), **contender.settings,
        "MAX_ITEM_LIST_LENGTH": length, "evaluate_first_event": True,
    }  # fmt: skip
    policy = PolicySettings.of(Values(given))
    reading = Reading(length, policy.objective.gamma, None, True, "all")
    sessions = replace(log.sessions, propensities=np.exp(log.log_probabilities))
    data = SessionData(sessions, None, world.n_items + 1, reading)
    torch.manual_seed(seed)
    network = PolicyNetwork(
        contender.model, policy, world.n_items, data.max_reward, event_names=world.event_names
    )
    how = TrainingSettings(
        epochs=settings.epochs, learning_rate=settings.learning_rate,
        train_batch_size=settings.batch_size, seed=seed,
    )  # fmt: skip
    mu = None
    if network.needs_logging_policy:
        mu = PolicyNetwork("LoggingPolicy", policy, world.n_items, event_names=world.event_names)
        train_policy(mu, data, None, how)
    train_policy(network, data, None, how, mu)
    return network.eval()


@torch.no_grad()
def divergence(policy: Policy, live: Policy, sessions: Any) -> float:
    """Return the mean Jensen-Shannon divergence of two policies over the first logged events."""
    whole = histories_of(sessions).take(torch.arange(min(COMPARED, len(sessions))))
    total, count = 0.0, 0
    for place in range(whole.items.shape[1]):
        there = whole.lengths > place
        so_far = whole.take(there).first(place)
        one, other = (p(so_far).double().log_softmax(-1) for p in (policy, live))
        total += float(jensen_shannon(one, other).sum())
        count += int(there.sum())
    return total / count


def work(
    world: World,
    contenders: Iterable[Contender],
    settings: DeploymentSettings,
    seeds: Iterable[int],
    folder: Path,
    say: Callable[[str], None],
) -> None:
    """Deploy every contender with every seed; what came of it is kept, and not done again.

    Args: ``folder`` is of this world alone, with a file of each contender and seed; ``say`` is told
    of each round.
    """
    for seed in seeds:
        for contender in contenders:
            path = result_path(folder, contender, seed)
            if results_of(path, contender, settings) is not None:
                continue
            rounds = []
            for found in deploy(world, contender, settings, seed):
                rounds.append(found._asdict())
                say(
                    f"{contender.name}, seed {seed}, round {found.number}: reward of a session "
                    f"{found.value.mean:.4f}, {found.gain.mean:+.4f} ± {found.gain.stderr:.4f} on "
                    "the first logging policy's"
                )
            values = [
                {k: asdict(v) if isinstance(v, Estimate) else v for k, v in row.items()}
                for row in rounds
            ]
            write_json(path, {"made_by": _made_by(contender, settings), "rounds": values})


def results_of(
    path: Path, contender: Contender, settings: DeploymentSettings
) -> list[Round] | None:
    """Read what is kept of a contender and seed; None where nothing is, or of other settings."""
    if not path.is_file():
        return None
    kept = json.loads(path.read_text())
    if kept["made_by"] != json.loads(json.dumps(_made_by(contender, settings))):
        return None
    return [
        Round(
            row["number"], Estimate(**row["value"]), Estimate(**row["gain"]),
            Estimate(**row["step"]), row["js"],
        )
        for row in kept["rounds"]
    ]  # fmt: skip


def result_path(folder: Path, contender: Contender, seed: int) -> Path:
    """Name the file that keeps what came of a contender with a seed."""
    return folder / contender.name / f"seed={seed}.json"


def _made_by(contender: Contender, settings: DeploymentSettings) -> dict[str, Any]:
    return {"model": contender.model, **dict(contender.settings), **asdict(settings)}
