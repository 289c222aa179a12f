"""What reward-aware sampling does to the variance of the gradient, and to the metrics.

    python benchmarks/reward_sampling.py --dataset=retailrocket-buyers --data_path=dataset

Variance: at the parameters of a trained LoggingPolicy, without dropout, gradients of --draws
samples of a tenth of the units each, against uniform sampling with the same unit and budget; and
how far their mean is from the full gradient. Metrics: LoggingPolicy trained on what is drawn, a
whole budget an epoch, --seeds seeds on one split; the spread over seeds and the uniform draws tell
what is chance. A run is a folder under --runs: started again, the script goes on where it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from recbole_lpi.data.reward_sampling import RewardSampler, SamplingSettings
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.policy.checkpoint import build_policy, read_checkpoint
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.training.memory import keep_freed_memory
from recbole_lpi.training.run_folder import RunFolder

FRACTION = 0.1
METRICS = ("purchase_ndcg@20", "click_ndcg@20", "js_divergence")
SAMPLED = [
    {"unit": unit, "alpha": alpha, "correct": correct}
    for unit in ("session", "event")
    for alpha, correct in ((0.0, False), (0.5, False), (1.0, False), (1.0, True))
]


def named(sampling: dict[str, Any] | None) -> str:
    if sampling is None:
        return "no sampling"
    drawn = f"α {sampling['alpha']:g}" if sampling["alpha"] else "uniform"
    return f"{sampling['unit']}, {drawn}{', corrected' if sampling['correct'] else ''}"


# ---------------------------------------------------------------------- variance


def gradient_of(model: PolicyNetwork, train: PolicyDataset, windows: Any, weights: Any) -> Any:
    """Gradient of the loss of ``windows`` in one batch, over all parameters, flat."""
    model.zero_grad()
    loss = torch.stack(list(model.losses(train.batch(windows, weights)).parts.values())).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def print_variances(folder: RunFolder, draws: int) -> None:
    state = read_checkpoint(folder.model)
    config = make_config(state["model"], state["config"]["dataset"], (), state["config"])
    train = PolicyDataset(config).build()[0]
    model = build_policy(state, folder.model).requires_grad_(True)
    windows = train.training_windows
    full = gradient_of(model, train, windows, None)
    print(
        f"\n### Variance of the gradient ({draws} draws each; a draw is {FRACTION:g} of "
        f"{len(windows)} sessions or of {windows.targets.sum()} events)\n"
    )
    print("| unit | replacement | α | corrected | variance, uniform = 1 | squared bias / ‖g‖² |")
    print("| - | - | - | - | - | - |")
    for unit in ("session", "event"):
        for replacement in (True, False):
            uniform = float("nan")
            for alpha, correct in (
                (0.0, False), (0.5, False), (1.0, False), (0.5, True), (1.0, True), (2.0, True),
            ):  # fmt: skip
                settings = SamplingSettings(
                    unit, alpha, replacement=replacement, fraction=FRACTION, correct=correct
                )
                sampler = RewardSampler(train.sessions, windows, settings)
                rng, found = np.random.default_rng(1), []
                for _ in range(draws):
                    sample = sampler.draw(rng)
                    weights = sample.weights([np.arange(len(sample.windows))])
                    found.append(gradient_of(model, train, sample.windows, weights))
                gradients = torch.stack(found)
                mean = gradients.mean(0)
                distance = (gradients - mean).square().sum(1).double() * draws / (draws - 1)
                variance, stderr = float(distance.mean()), float(distance.std()) / draws**0.5
                uniform = variance if alpha == 0 else uniform
                bias = float((mean - full).square().sum()) - variance / draws
                print(
                    f"| {unit} | {'with' if replacement else 'without'} | {alpha:g} | "
                    f"{'yes' if correct else 'no'} | {variance / uniform:.2f} ± "
                    f"{stderr / uniform:.2f} | {bias / float(full.square().sum()):.3f} ± "
                    f"{stderr_of_bias(gradients, full):.3f} |",
                    flush=True,
                )


def stderr_of_bias(gradients: torch.Tensor, full: torch.Tensor) -> float:
    """Standard error of the squared bias over ‖g‖², by the jackknife over draws."""
    n, total = len(gradients), gradients.sum(0)
    squares = gradients.square().sum(1).double()
    values = []
    for i in range(n):
        mean = (total - gradients[i]) / (n - 1)
        spread = float(squares.sum() - squares[i]) - (n - 1) * float(mean.square().sum())
        values.append(float((mean - full).square().sum()) - spread / (n - 2) / (n - 1))
    scale = float(full.square().sum())
    return float(np.std(values) * (n - 1) ** 0.5 / scale)


# ---------------------------------------------------------------------- metrics


def trained(folder: RunFolder, dataset: str, given: dict[str, Any]) -> RunFolder:
    """The finished run in ``folder``, trained or gone on with if it is not finished."""
    if not folder.finished:
        print(f"-- {folder.path}", flush=True)
        if folder.begun:
            run(config_dict={"resume": str(folder.path)})
        else:
            run("LoggingPolicy", dataset, (), {**given, "run_dir": str(folder.path)})
    return folder


def print_metrics(runs: dict[str, list[RunFolder]]) -> None:
    seeds = len(runs[named(None)])
    print(
        f"\n### Test part, {seeds} seeds: mean ± standard error over sessions (standard deviation "
        "over seeds)\n"
    )
    print("| training data | " + " | ".join(METRICS) + " | best epochs |")
    print("| - |" + " - |" * (len(METRICS) + 1))
    for name, folders in runs.items():
        written = [folder.read_metrics() for folder in folders]
        cells = []
        for metric in METRICS:
            means, stderrs = (
                [found["test"][metric][of] for found in written] for of in ("mean", "stderr")
            )
            spread = np.std(means, ddof=1) if seeds > 1 else float("nan")
            cells.append(f"{np.mean(means):.4f} ± {np.mean(stderrs):.4f} ({spread:.4f})")
        best = ", ".join(str(found["best_epoch"] + 1) for found in written)
        print(f"| {name} | " + " | ".join(cells) + f" | {best} |")


def main(
    dataset: Annotated[str, typer.Option()] = "retailrocket-buyers",
    data_path: Annotated[str, typer.Option("--data_path")] = "dataset",
    runs: Annotated[Path, typer.Option()] = Path("runs/reward_sampling"),
    epochs: Annotated[int, typer.Option()] = 8,
    seeds: Annotated[int, typer.Option()] = 3,
    draws: Annotated[int, typer.Option()] = 60,
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train, measure, print two tables in Markdown."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    root = runs / dataset / f"epochs={epochs}"
    given = {"data_path": data_path, "split_seed": 2020, "show_progress": False, "epochs": epochs}
    # JS is from one more seed without sampling, so that "no sampling" shows what a seed makes.
    mu = trained(RunFolder(root / "logging policy"), dataset, {**given, "seed": 0})
    given["logging_policy"] = str(mu.path)
    folders = {
        named(sampling): [
            trained(
                RunFolder(root / f"{named(sampling)}, seed {seed}"),
                dataset,
                {**given, "seed": seed, "reward_sampling": sampling},
            )
            for seed in range(1, seeds + 1)
        ]
        for sampling in (None, *SAMPLED)
    }
    print_metrics(folders)
    print_variances(mu, draws)


if __name__ == "__main__":
    typer.run(main)
