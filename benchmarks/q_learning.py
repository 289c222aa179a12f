"""Whether a Q head learns: its TD loss, and what it says of sessions held out.

    python benchmarks/q_learning.py --dataset=yoochoose-1pct --data_path=dataset

Trains one policy for a few epochs at its shipped settings, or those given as NAME=VALUE, and prints
after each epoch: the TD loss of training over the variance of rewards at γ 0, of returns otherwise
(without a bootstrap, above 1 a constant would do better); and on the validation part, R² of
Q(x, a) for the discounted return, the area under the ROC curve of Q(x, a) for an event being a
purchase, the correlation of the two heads' advantages Q(x, a) − E_π[Q] where there are two, and the
mean nDCG@20 of purchases and clicks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, cast

import numpy as np
import torch
import typer
from scipy.stats import rankdata
from torch import Tensor

from recbole_lpi.data.batches import Batch
from recbole_lpi.data.windows import evaluation_batches, training_batches
from recbole_lpi.evaluation.event_ranking import EvaluationPass, rank_policy
from recbole_lpi.evaluation.metrics import Kinds, evaluate
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.model_factory import make_model
from recbole_lpi.plugin.runner import make_config
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.training.memory import keep_freed_memory
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.yaml_values import parse

NDCG = ("purchase_ndcg@20", "click_ndcg@20")


def r_squared(predicted: np.ndarray, observed: np.ndarray) -> float:
    """1 − mean squared error over variance; 0 is the mean, below 0 is worse than it."""
    return float(1 - np.square(predicted - observed).mean() / observed.var())


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive has a higher score than a negative, ties half."""
    n = int(positive.sum())
    below = rankdata(score)[positive].sum() - n * (n + 1) / 2
    return float(below / (n * (len(score) - n)))


@torch.no_grad()
def q_of(model: PolicyNetwork, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
    """Q(x, a) and the advantage over the policy, [N] each, of every Q head."""
    counts = batch.counts
    state, action = model.forward(batch.history)[counts], batch.action[counts] - 1
    pi = model.policy_table.outputs(state).softmax(-1)
    for head in cast(torch.nn.ModuleList, model.heads["q"]):
        found = head(state, model.policy_table)
        every = found.value[:, None] + found.factors.outputs()
        q = every.gather(1, action[:, None]).squeeze(1)
        yield q, q - (pi * every).sum(-1)


def held_out(model: PolicyNetwork, valid: PolicyDataset, kinds: Kinds) -> dict[str, float]:
    """What the heads say of a part, against what happened there."""
    model.eval()
    found: dict[str, list[Any]] = {"return": [], "purchase": []}
    heads: list[list[tuple[Tensor, Tensor]]] = []
    names = np.array(valid.sessions.event_names)
    for index in evaluation_batches(valid.windows, 256):
        batch = valid.batch(valid.windows.take(index))
        found["return"].append(batch.return_[batch.counts].numpy())
        event = names[batch.event[batch.counts].numpy()]
        found["purchase"].append(np.isin(event, kinds.purchase))
        heads.append(list(q_of(model, batch)))
    returns, purchase = (np.concatenate(found[name]) for name in ("return", "purchase"))
    each = [  # of each head, Q and advantage
        [torch.cat(column).numpy() for column in zip(*head, strict=True)]
        for head in zip(*heads, strict=True)
    ]
    result = {"R²": r_squared(each[0][0], returns), "AUC": auc(each[0][0], purchase)}
    if len(each) > 1:
        result["heads"] = float(np.corrcoef(each[0][1], each[1][1])[0, 1])
    return result


def main(
    settings: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE, of the policy")] = None,
    model: Annotated[str, typer.Option()] = "LPIRL",
    dataset: Annotated[str, typer.Option()] = "yoochoose-1pct",
    data_path: Annotated[str, typer.Option("--data_path")] = "dataset",
    epochs: Annotated[int, typer.Option()] = 4,
    seed: Annotated[int, typer.Option()] = 1,
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train, measure, print a table in Markdown."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    words = [word.split("=", 1) for word in settings or []]
    given = {name: parse(value) for name, value in words}
    if model == "LPIRL":
        given = {"advantage_estimator": "analytic", **given}
    given |= {"data_path": data_path, "split_seed": 2020, "seed": seed, "show_progress": False}
    config = make_config(model, dataset, (), {"logging_policy": "none", **given})
    how = TrainingSettings.of(config)
    train, valid, _ = PolicyDataset(config).build()
    torch.manual_seed(seed)
    policy = make_model(config, train).network
    if "q" not in policy.heads:
        raise typer.BadParameter(f"{model} with these settings has no Q head", param_hint="model")
    optimiser = how.optimiser(policy.parameters(), policy.sparse_parameters)
    windows = train.training_windows
    targets = train.batch(windows)
    regressed = targets.return_ if policy.settings.objective.gamma else targets.reward
    variance = float(regressed[targets.counts].var())
    print(f"{model}, {given}: variance {variance:.4f}\n")
    print("| epoch | TD loss / variance | R² of Q | AUC for purchases | heads' advantages | "
          + " | ".join(NDCG) + " |")  # fmt: skip
    print("| - | - | - | - | - | - | - |")
    for epoch in range(epochs):
        policy.train()
        policy.begin_epoch(epoch)
        losses = []
        rng = np.random.default_rng([seed, epoch])
        for index in training_batches(windows, how.train_batch_size, rng):
            optimiser.zero_grad(set_to_none=True)
            parts = policy.losses(train.batch(windows.take(index))).parts
            torch.stack(list(parts.values())).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(
                float(parts["td loss"].detach()) / max(policy.settings.objective.td_weight, 1e-12)
            )
        found = held_out(policy, valid, how.kinds)
        ranked = EvaluationPass(how.eval_batch_size, torch.device("cpu"))
        table = rank_policy(policy, valid, ranked)
        ndcg = evaluate(table, list(NDCG), how.kinds)
        agreed = f"{found['heads']:.2f}" if "heads" in found else "–"
        print(
            f"| {epoch} | {np.mean(losses) / variance:.2f} | {found['R²']:.2f} | "
            f"{found['AUC']:.2f} | {agreed} | "
            + " | ".join(f"{ndcg[name].mean:.4f}" for name in NDCG) + " |",
            flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
