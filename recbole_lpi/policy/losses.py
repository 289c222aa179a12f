"""The losses of one training step: states of the encoder in, policy loss and TD errors out.

Events are compressed: N of them, in the order of their sessions, so that the next event of i is
i + 1 wherever its discount is not 0. One catalogue pass therefore also serves the next states.
The heads are asked first, then comes one catalogue pass, and TD errors from its statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.candidates import Candidates, candidate_pass
from recbole_lpi.nn.catalogue import CatalogueStatistics, Factors, PolicyLoss, Table, Weigh
from recbole_lpi.nn.heads import PropensityHead, QHead, QValues, ValueHead
from recbole_lpi.nn.repeats import Seen
from recbole_lpi.nn.tiled_catalogue import catalogue_pass
from recbole_lpi.objectives import (
    Critics,
    Estimates,
    Objective,
    ObjectiveSettings,
    ValueEstimator,
)
from recbole_lpi.objectives.td import bootstrap_target, expectile_error, next_event, squared_error


class Events(NamedTuple):
    """The N events of a batch that carry loss: their states, and what was logged there.

    Attributes:
        state: of the encoder, [N, D].
        action: logged items, [N], int64 in 0 … A−1, without padding.
        reward: r of the logged action, [N].
        discount: γ, and 0 at the last observed event of a session, [N].
        return_: discounted sum of rewards from the event to the end of its session, [N].
        max_reward: the largest reward of the training data, [N].
        sample_weight: factor on every loss of an event, [N]; 1 unless sampled by reward.
        propensity: μ(a | x) of the logged action, as the log has it, [N]; None: it has none.
    """

    state: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    return_: Tensor
    max_reward: Tensor
    sample_weight: Tensor
    propensity: Tensor | None = None


class Heads(NamedTuple):
    """The auxiliary heads of one step, None for those the objective does not need.

    Attributes:
        q: the Q head that selects the best item, is trained and weighs; and the one that evaluates
            that item (van Hasselt 2010). The same head twice is plain Q-learning.
        value: V(x).
        propensity: μ̂(a | x) on the detached state.
    """

    q: tuple[QHead, QHead] | None = None
    value: ValueHead | None = None
    propensity: PropensityHead | None = None


class StepLosses(NamedTuple):
    """The losses of one batch, before they are weighted and summed.

    Attributes:
        policy: the policy's loss, weights and statistics; sample weights are part of the weights.
        td_errors: errors per event, [N], of the heads that learn values: ``td loss`` of the head
            with the TD target, ``value loss`` of a value head regressed on Q.
        propensity: −log μ̂ per event on average, a scalar; None without a propensity head.
    """

    policy: PolicyLoss
    td_errors: dict[str, Tensor]
    propensity: Tensor | None


def compute_losses(
    events: Events,
    policy: Factors,
    objective: Objective,
    settings: ObjectiveSettings,
    heads: Heads,
    logging: Factors | None = None,
    candidates: Candidates | None = None,
    seen: Seen | None = None,
) -> StepLosses:
    """The policy loss by one pass over the catalogue, and the errors of the heads (Eq. 10).

    Args:
        events: what carries loss.
        policy: what gives its logits; its states are those of the events.
        objective, settings: what is learnt.
        heads: those that ``objective.heads(settings)`` names.
        logging: what gives the logits of the logging policy.
        candidates: what stands for the catalogue; the whole catalogue if None.
        seen: the items that the propensity head scores as repeats; None: none.

    Raises:
        ValueError: the objective needs a logging policy or propensities, and there are none.
    """
    if objective.needs_logging_policy(settings) and logging is None:
        raise ValueError("this objective needs a logging policy (logging_policy)")
    over_catalogue = (
        partial(candidate_pass, candidates=candidates) if candidates else catalogue_pass
    )
    critics, q_values = _ask_heads(events, policy.table, settings, heads)
    known = _estimate(events, objective, settings, critics)
    propensity = None
    if heads.propensity is not None:
        propensity = _propensity(events, heads.propensity, seen, over_catalogue)
        known["log_mu"] = propensity.statistics.log_pi
    weigh = _weigh(events, objective, settings, known, q_values)
    estimator, baseline = objective.value_estimator(settings), objective.baseline(settings)
    asks = any(row is not None and row.statistic for row in (estimator, baseline))
    q = q_values.factors if q_values is not None and asks else None
    policy_loss = over_catalogue(
        policy.state, events.action, policy.table, weigh, q, logging, policy.added
    )
    errors = {}
    if estimator is not None:
        errors = td_errors(events, settings, estimator, critics, policy_loss.statistics)
    return StepLosses(
        policy_loss,
        {name: events.sample_weight * error for name, error in errors.items()},
        None if propensity is None else propensity.loss,
    )


def _ask_heads(
    events: Events, policy: Table, settings: ObjectiveSettings, heads: Heads
) -> tuple[Critics, QValues | None]:
    """What the value heads say of each event, with gradient; and Q of every item, where learnt."""
    critics = Critics(events.action, events.return_)
    if heads.value is not None:
        critics = critics._replace(v=heads.value(events.state))
    if heads.q is None:
        return critics, None
    selector = heads.q[0](events.state, policy)
    with torch.no_grad():
        evaluator = heads.q[1](events.state, policy)
    negative = None
    if settings.negative_samples:
        item = sample_negatives(events.action, len(policy.weight), settings.negative_samples)
        negative = selector.of(item)
    q = selector.of(events.action)
    return critics._replace(
        selector=selector, evaluator=evaluator, q=q, q_negative=negative
    ), selector


def sample_negatives(action: Tensor, n_items: int, number: int) -> Tensor:
    """Items other than the logged one, uniform and independent: [N] -> [N, number]."""
    drawn = torch.randint(n_items - 1, (len(action), number), device=action.device)
    return drawn + (drawn >= action[:, None]).long()


def _estimate(
    events: Events, objective: Objective, settings: ObjectiveSettings, critics: Critics
) -> dict[str, Tensor]:
    """The fields of ``Estimates`` that do not wait for the catalogue pass, [N] each, detached."""
    known = {
        name: getattr(events, name) for name in ("reward", "discount", "return_", "max_reward")
    }
    baseline = objective.baseline(settings)
    if critics.q is not None:
        known["q"] = critics.q
        if baseline is not None and baseline.of is not None:
            known["v"] = baseline.of(critics)
    elif critics.v is not None:
        known["v"], known["v_tp1"] = critics.v, next_event(critics.v)
        advantage = objective.advantage_estimator(settings)
        if advantage is not None and advantage.along_session is not None:
            known["advantage"] = advantage.along_session(
                events.reward, events.discount, critics.v.detach(), settings
            )
    if objective.needs_propensities(settings):
        if events.propensity is None:
            raise ValueError("propensity: logged needs events with propensities")
        known["log_mu"] = events.propensity.log()
    return {name: value.detach() for name, value in known.items()}


def _weigh(
    events: Events,
    objective: Objective,
    settings: ObjectiveSettings,
    known: dict[str, Tensor],
    q_values: QValues | None,
) -> Weigh:
    """The policy weights of a stretch of events, as the catalogue pass asks for them."""
    baseline = objective.baseline(settings)
    statistic = None if baseline is None else baseline.statistic
    shared = None if q_values is None else q_values.value.detach()  # by all items of an event

    def weigh(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        estimates = {name: value[part] for name, value in known.items()}
        if catalogue.log_mu is not None:
            estimates["log_mu"] = catalogue.log_mu
        if statistic is not None and shared is not None:
            estimates["v"] = shared[part] + getattr(catalogue, statistic)
        weight = objective.weight(Estimates(log_pi=catalogue.log_pi, **estimates), settings)
        return weight * events.sample_weight[part]

    return weigh


def _propensity(
    events: Events, head: PropensityHead, seen: Seen | None,
    over_catalogue: Callable[..., PolicyLoss],
) -> PolicyLoss:  # fmt: skip
    """Maximum likelihood of the propensity head on detached states: the encoder is left alone."""

    def as_sampled(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        return events.sample_weight[part]

    mu = head(events.state.detach(), seen)
    return over_catalogue(mu.state, events.action, mu.table, as_sampled, added=mu.added)


def td_errors(
    events: Events,
    settings: ObjectiveSettings,
    estimator: ValueEstimator,
    critics: Critics,
    catalogue: CatalogueStatistics,
) -> dict[str, Tensor]:
    """Squared distance of each head to its target, [N], which carries no gradient (Eq. 11)."""
    if estimator.statistic is not None:
        critics = critics._replace(statistic=getattr(catalogue, estimator.statistic))
    state_value = estimator.state_value(critics).detach()
    target = bootstrap_target(events.reward, events.discount, next_event(state_value))
    if critics.q is None:
        assert critics.v is not None
        return {"td loss": squared_error(critics.v, target)}
    errors = {"td loss": squared_error(critics.q, target)}
    if critics.q_negative is not None:  # a wasted step: no reward, and the state stays as it was
        wasted = (settings.gamma * state_value)[:, None].expand_as(critics.q_negative)
        errors["td loss"] = errors["td loss"] + squared_error(critics.q_negative, wasted).sum(1)
    if critics.v is not None:
        errors["value loss"] = expectile_error(critics.v, critics.q, settings.expectile)
    return errors
