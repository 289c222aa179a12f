"""From states of the encoder to what an objective sees: estimates per event, and the TD errors.

Events are compressed: N of them, in the order of their sessions, so that the next event of i is
i + 1 wherever its discount is not 0. One catalogue product therefore also serves the next states.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.candidates import Candidates, candidate_pass
from recbole_lpi.nn.catalogue import (
    CatalogueStatistics,
    Factors,
    PolicyLoss,
    Table,
    catalogue_pass,
)
from recbole_lpi.nn.heads import PropensityHead, QHead, QValues, ValueHead
from recbole_lpi.objectives import Estimates, Objective, ObjectiveSettings
from recbole_lpi.objectives.td import (
    bootstrap_target,
    discounted_sum,
    expectile_error,
    squared_error,
)

OF_CATALOGUE = {"policy": "expected_q", "logging": "logging_q", "max": "max_q"}  # baselines
OVER_CATALOGUE = (None, "double_q", "q_learning", "expected_sarsa")  # value estimators


class Events(NamedTuple):
    """The events of a batch that carry loss: state [N, D] and, [N] each, what was logged there.

    ``action`` is 0 … A−1, without padding; ``max_reward`` is that of the training data;
    ``sample_weight`` multiplies every loss of an event, 1 unless it was sampled by reward.
    """

    state: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    return_: Tensor
    max_reward: Tensor
    sample_weight: Tensor


class Heads(NamedTuple):
    """The auxiliary heads of one step, None for those the objective does not need.

    Attributes:
        q: the Q head that chooses, is trained and weighs; and the one that values the choice.
            The same head twice is plain Q-learning.
        value: V(x).
        propensity: μ̂(a | x) on the detached state.
    """

    q: tuple[QHead, QHead] | None = None
    value: ValueHead | None = None
    propensity: PropensityHead | None = None


class Values(NamedTuple):
    """What the heads say of each event, with gradient; None where there is no such head.

    Attributes:
        chooser, valuer: Q of every item under the two Q heads of the step.
        q: Q(x, a) of the logged item under the first of them, [N]; q_negative [N, n], of negatives.
        v: V(x), [N].
    """

    chooser: QValues | None = None
    valuer: QValues | None = None
    q: Tensor | None = None
    q_negative: Tensor | None = None
    v: Tensor | None = None


class Learnt(NamedTuple):
    """What one batch teaches.

    Attributes:
        policy: the policy's loss, weights and statistics; sample weights are part of the weights.
        td_errors: of the heads that learn values, per event [N]: ``td loss``, ``value loss``.
        propensity: of the head that learns μ̂, −log μ̂ per event on average; a scalar, or None.
    """

    policy: PolicyLoss
    td_errors: dict[str, Tensor]
    propensity: Tensor | None


def learn(
    events: Events,
    policy: Table,
    objective: Objective,
    settings: ObjectiveSettings,
    heads: Heads,
    logging: Factors | None = None,
    candidates: Candidates | None = None,
) -> Learnt:
    """One pass over the catalogue for the policy, and the errors of its heads.

    ``logging`` is the given logging policy; ValueError where the objective needs one and has none.
    ``candidates`` stand for the catalogue where they are given.
    """
    if objective.needs_logging_policy(settings) and logging is None:
        raise ValueError("this objective needs a logging policy (logging_policy)")
    values = _values(events, settings, heads, policy)
    known = _known(events, settings, values)
    propensity = None
    if heads.propensity is not None:
        propensity = _propensity(events, heads.propensity, candidates)
        known["log_mu"] = propensity.statistics.log_pi
    baseline = None
    if objective.learns == "advantage" and values.chooser is not None:
        baseline = OF_CATALOGUE.get(settings.advantage_baseline)
    q, state_value = None, None  # over the catalogue, where anything of it is needed
    if values.chooser and (baseline or settings.value_estimator in OVER_CATALOGUE):
        q, state_value = values.chooser.factors, values.chooser.value.detach()

    def weigh(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        seen = {name: value[part] for name, value in known.items()}
        if catalogue.log_mu is not None:
            seen["log_mu"] = catalogue.log_mu
        if baseline is not None and state_value is not None:
            seen["v"] = state_value[part] + getattr(catalogue, baseline)
        weight = objective.weight(Estimates(log_pi=catalogue.log_pi, **seen), settings)
        return weight * events.sample_weight[part]

    over = _pass(candidates)
    learnt = over(events.state, events.action, policy, weigh, q, logging)
    errors = _td_errors(events, settings, values, learnt.statistics)
    errors = {name: events.sample_weight * error for name, error in errors.items()}
    return Learnt(learnt, errors, None if propensity is None else propensity.loss)


def next_of(value: Tensor) -> Tensor:
    """``value`` of the next event [N]; what the last one gets is not read, its discount is 0."""
    return value.roll(-1, 0)


def sample_negatives(action: Tensor, n_items: int, number: int) -> Tensor:
    """Items other than the logged one, uniform and independent: [N] -> [N, number]."""
    drawn = torch.randint(n_items - 1, (len(action), number), device=action.device)
    return drawn + (drawn >= action[:, None]).long()


def _values(events: Events, settings: ObjectiveSettings, heads: Heads, policy: Table) -> Values:
    v = None if heads.value is None else heads.value(events.state)
    if heads.q is None:
        return Values(v=v)
    chooser = heads.q[0](events.state, policy)
    with torch.no_grad():  # it only values what the other chose
        valuer = heads.q[1](events.state, policy)
    negative = None
    if settings.negative_samples:
        item = sample_negatives(events.action, len(policy.weight), settings.negative_samples)
        negative = chooser.of(item)
    return Values(chooser, valuer, chooser.of(events.action), negative, v)


def _known(events: Events, settings: ObjectiveSettings, values: Values) -> dict[str, Tensor]:
    """Estimates that do not wait for the catalogue pass, by their names; detached."""
    known = {
        name: getattr(events, name) for name in ("reward", "discount", "return_", "max_reward")
    }
    if values.q is not None:
        known["q"] = values.q
        if settings.advantage_baseline == "negatives" and values.q_negative is not None:
            known["v"] = torch.cat([values.q[:, None], values.q_negative], 1).mean(1)
        elif settings.advantage_baseline == "value" and values.v is not None:
            known["v"] = values.v
    elif values.v is not None:
        known["v"], known["v_tp1"] = values.v, next_of(values.v)
        if settings.advantage_estimator == "gae":
            target = bootstrap_target(events.reward, events.discount, known["v_tp1"])
            decay = events.discount * settings.gae_lambda
            known["gae"] = discounted_sum(target - values.v.detach(), decay)
    return {name: value.detach() for name, value in known.items()}


def _pass(candidates: Candidates | None) -> Callable[..., PolicyLoss]:
    """Over the catalogue, or over what stands for it."""
    return partial(candidate_pass, candidates=candidates) if candidates else catalogue_pass


def _propensity(events: Events, head: PropensityHead, candidates: Candidates | None) -> PolicyLoss:
    """Maximum likelihood of the head, the encoder left alone."""

    def as_sampled(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        return events.sample_weight[part]

    return _pass(candidates)(events.state.detach(), events.action, head.table, as_sampled)


def _td_errors(
    events: Events,
    settings: ObjectiveSettings,
    values: Values,
    catalogue: CatalogueStatistics,
) -> dict[str, Tensor]:
    """Squared distance of each head to its target, which carries no gradient."""
    if values.q is None and values.v is None:
        return {}
    ahead = _state_value(events, settings, values, catalogue).detach()
    target = bootstrap_target(events.reward, events.discount, next_of(ahead))
    if values.q is None:
        assert values.v is not None
        return {"td loss": squared_error(values.v, target)}
    errors = {"td loss": squared_error(values.q, target)}
    if values.q_negative is not None:  # a wasted step: no reward, and the state stays as it was
        wasted = (settings.gamma * ahead)[:, None].expand_as(values.q_negative)
        errors["td loss"] = errors["td loss"] + squared_error(values.q_negative, wasted).sum(1)
    if values.v is not None:
        errors["value loss"] = expectile_error(values.v, values.q, settings.expectile)
    return errors


def _state_value(
    events: Events,
    settings: ObjectiveSettings,
    values: Values,
    catalogue: CatalogueStatistics,
) -> Tensor:
    """Value of each state [N] that a step into it is worth, see ``objectives.td``."""
    estimator = settings.value_estimator
    if estimator == "monte_carlo":
        return events.return_
    if values.valuer is None or estimator == "state_value":
        assert values.v is not None
        return values.v
    if estimator == "expected_sarsa":
        assert catalogue.expected_q is not None and values.chooser is not None
        return values.chooser.value + catalogue.expected_q
    item = events.action
    if estimator != "sarsa":
        assert catalogue.argmax_q is not None
        item = catalogue.argmax_q
    return values.valuer.of(item)
