"""Time to quality: ours, RecBole's, RecTools' and RePlay's SASRec on one split, in turn.

    python -m venv .venv-peers && .venv-peers/bin/pip install -c constraints.txt \\
        -r benchmarks/peers/requirements.txt
    python benchmarks/time_to_quality.py run --dataset=ml-100k --peers_python=.venv-peers/bin/python
    python benchmarks/time_to_quality.py report --dataset=ml-100k    # of what there is so far

Training sessions, validation and test events come from one file, ``events.parquet``, written from
this package's split by whole sessions; items that no training session has are left out. After every
epoch each peer scores the same held-out validation events, each given the items before it, against
all items, those already seen included, and one piece of code ranks them; meanwhile its clock stands
still. The best epoch ranks the test events.

A finished run stays in the output folder and is not repeated; one that broke off begins anew.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import chain, repeat
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # started as a script, whose folder would stand there alone

from benchmarks.peers.protocol import (  # noqa: E402
    PARTS,
    Settings,
    mean_and_error,
    ndcg,
)

app = typer.Typer(no_args_is_help=True, add_completion=False)
OF_ONE_RUN = ("data", "seed", "budget")
# glibc keeps what a step frees for the next one: recbole_lpi.training.memory, for every peer alike.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}


@dataclass(frozen=True)
class Peer:
    """Who trains: an adapter, the model it is told, and whether it runs in the peers' environment.

    ``given`` are settings by data set, where they are not those of ``all``.
    """

    adapter: str
    model: str
    apart: bool
    given: Mapping[str, Mapping[str, Any]]

    def settings(self, dataset: str) -> dict[str, Any]:
        """For this data set."""
        return {"model": self.model, **self.given["all"], **self.given.get(dataset, {})}


# Of ours, the learning rate and batch of its property files, and first weights by Glorot's rule, as
# RecTools and RePlay have them; on ml-100k, whose sessions are long, also every event, as RecBole
# has it, in twice as many windows. Of the others, their default learning rate, and RecBole's and
# RecTools' default batch where the data are not few, long sessions.
OURS: Mapping[str, Mapping[str, Any]] = {
    "all": {"batch": 256, "learning_rate": 0.003, "more": '{"initializer": "xavier_normal"}'},
    "ml-100k": {
        "batch": 32, "learning_rate": 0.001,
        "more": '{"initializer": "xavier_normal", "training_windows": "all"}',
    },
}  # fmt: skip
PEERS = {
    "LoggingPolicy": Peer("ours", "LoggingPolicy", False, OURS),
    "LPIRL": Peer("ours", "LPIRL", False, OURS),
    "RecBole": Peer(
        "recbole_sasrec", "SASRec", False, {"all": {"batch": 2048, "learning_rate": 0.001}},
    ),
    "RecTools": Peer(
        "rectools_sasrec", "SASRecModel", True,
        {"all": {"batch": 128, "learning_rate": 0.001}, "ml-100k": {"batch": 16}},
    ),
    "RePlay": Peer(
        "replay_sasrec", "SasRec", True,
        {"all": {"batch": 256, "learning_rate": 0.001}, "ml-100k": {"batch": 16}},
    ),
}  # fmt: skip


def write_events(dataset: str, data_path: str | None, given: Mapping[str, Any], to: Path) -> None:
    """Sessions of the package's own split, items numbered as they first appear in training."""
    from recbole_lpi.data.sessions import ranges
    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.runner import make_config

    where = {"data_path": data_path} if data_path else {}
    config = make_config("LoggingPolicy", dataset, (), {**where, **given})
    parts = PolicyDataset(config).build()
    store = parts[0].sessions
    names = np.array(store.event_names)
    frames = []
    for number, part in enumerate(parts):
        row, place = ranges(part.part.start, part.part.stop)
        columns = {
            "part": np.full(len(row), number),
            "session": part.part.session[row],
            "item": store.items[place],
            "event": names[store.events[place]],
            "reward": store.rewards[place],
        }
        frames.append(pl.DataFrame(columns))
    to.parent.mkdir(parents=True, exist_ok=True)
    beside = to.with_suffix(".part")
    numbered(pl.concat(frames)).write_parquet(beside)
    beside.replace(to)


def numbered(events: pl.DataFrame) -> pl.DataFrame:
    """Events on items that training has, numbered 1 … A as training first shows them."""
    numbers = (
        events.filter(pl.col("part") == 0)
        .unique("item", keep="first", maintain_order=True)
        .select("item", number=pl.int_range(1, pl.len() + 1))
    )
    known = events.join(numbers, on="item", how="inner", maintain_order="left")
    return known.with_columns(item=pl.col("number")).drop("number")


def train(name: str, run: Path, settings: Settings, python: str) -> None:
    """One run in a process of its own."""
    run.mkdir(parents=True, exist_ok=True)
    (run / "settings.json").write_text(json.dumps(vars(settings)))
    threads = str(settings.threads)
    environment = {
        **os.environ, **ALLOCATOR, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads,
        "ARROW_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads, "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    command = [python, "-m", f"benchmarks.peers.{PEERS[name].adapter}", str(run.resolve())]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        raise SystemExit(f"{name} failed: {run}")


@app.command()
def run(
    dataset: Annotated[str, typer.Option()] = "ml-100k",
    data_path: Annotated[str | None, typer.Option("--data_path")] = None,
    output: Annotated[Path, typer.Option()] = Path("runs/time_to_quality"),
    peers: Annotated[str, typer.Option(help="In turn")] = " ".join(PEERS),
    peers_python: Annotated[str, typer.Option("--peers_python")] = ".venv-peers/bin/python",
    data: Annotated[str, typer.Option(help="Settings of the data, YAML")] = "{}",
    given: Annotated[
        str, typer.Option(help="Of runs, YAML: {dropout: 0.5, RePlay: {batch: 64}}")
    ] = "{}",
    seeds: Annotated[int, typer.Option(help="Runs of each, in turn")] = 1,
) -> None:
    """Train what has not been trained yet, and report."""
    events = (output / dataset / "events.parquet").resolve()
    if not events.is_file():
        write_events(dataset, data_path, yaml.safe_load(data), events)
    chosen = yaml.safe_load(given)
    shared = {key: value for key, value in chosen.items() if key not in PEERS}
    known = {field.name for field in fields(Settings)} - {"data", "seed"}
    first = shared.pop("seed", Settings.seed)
    for seed in range(first, first + seeds):
        for name in peers.split():
            values = {**PEERS[name].settings(dataset), **shared, **chosen.get(name, {})}
            if unknown := set(values) - known:
                raise SystemExit(
                    f"unknown settings {', '.join(unknown)}; known: {', '.join(known)}"
                )
            folder = output / dataset / name / str(seed)
            if not (folder / "finished.json").is_file():
                python = peers_python if PEERS[name].apart else sys.executable
                train(name, folder, Settings(data=str(events), seed=seed, **values), python)
    report(dataset, output)


@dataclass(frozen=True)
class Curve:
    """A run: validation by epoch, and once it has finished, the test ranks of its best epoch."""

    epochs: pl.DataFrame
    settings: dict[str, Any]
    test: pl.DataFrame | None
    found: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Curve:
        finished = folder / "finished.json"
        return cls(
            pl.read_ndjson(folder / "epochs.jsonl"),
            json.loads((folder / "settings.json").read_text()),
            pl.read_parquet(folder / "test.parquet") if finished.is_file() else None,
            json.loads(finished.read_text()) if finished.is_file() else {},
        )

    @property
    def best(self) -> dict[str, Any]:
        return self.epochs.sort("ndcg@10", descending=True, maintain_order=True).row(0, named=True)

    def seconds_to(self, score: float, clock: str) -> float:
        """Until validation first has ``score``; ∞ if it never has."""
        reached = self.epochs.filter(pl.col("ndcg@10") >= score)[clock]
        return float(reached[0]) if len(reached) else float("inf")

    def seconds_per_epoch(self, clock: str) -> float:
        return float(np.median(np.diff(self.epochs[clock].to_numpy(), prepend=0.0)))


@dataclass(frozen=True)
class Runs:
    """Of one peer, by seed."""

    name: str
    curves: dict[int, Curve]

    @classmethod
    def read(cls, folder: Path) -> Runs:
        begun = sorted(file.parent for file in folder.glob("*/epochs.jsonl"))
        runs = cls(folder.name, {int(one.name): Curve.read(one) for one in begun})
        for curve in runs.curves.values():
            for name, value in curve.settings.items():
                if name not in OF_ONE_RUN and value != runs.settings[name]:
                    both = f"{runs.settings[name]} in one run and {value} in another"
                    raise SystemExit(f"{folder}: {name} is {both}")
        return runs

    @property
    def best(self) -> float:
        """Validation nDCG@10 of the best epoch, mean over seeds."""
        return float(np.mean([curve.best["ndcg@10"] for curve in self.curves.values()]))

    @property
    def settings(self) -> dict[str, Any]:
        return next(iter(self.curves.values())).settings

    @property
    def finished(self) -> list[Curve]:
        return [curve for curve in self.curves.values() if curve.test is not None]

    def ndcg(self, seed: int) -> np.ndarray | None:
        """Of each test event, nDCG@10 by the run with this seed; None before it has finished."""
        test = self.curves[seed].test if seed in self.curves else None
        return None if test is None else ndcg(test["rank"].to_numpy())


@app.command()
def report(
    dataset: Annotated[str, typer.Option()] = "ml-100k",
    output: Annotated[Path, typer.Option()] = Path("runs/time_to_quality"),
    clock: Annotated[str, typer.Option(help="cpu or wall")] = "cpu",
    share: Annotated[float, typer.Option(help="Of the best validation nDCG@10")] = 0.99,
    figure: Annotated[Path | None, typer.Option(help=".svg, .png or .pdf")] = None,
) -> None:
    """Print the table of the runs so far, in Markdown; seconds are medians."""
    folder = output / dataset
    peers = [runs for runs in (Runs.read(folder / name) for name in PEERS) if runs.curves]
    if not peers:
        raise SystemExit(f"{folder} holds no run of an epoch or more")
    goal = share * max(runs.best for runs in peers)
    print(_sizes(pl.read_parquet(folder / "events.parquet"), dataset))
    print(f"{share:.0%} of the best validation nDCG@10 of any, {goal:.4f}; seconds: {clock}\n")
    titles = ["peer", "seeds", "batch", "learning rate", "epochs (best)", "s/epoch",
              f"s to {share:.0%}", "s before training", "best valid nDCG@10", "test nDCG@10",
              f"less {peers[0].name}"]  # fmt: skip
    print("| " + " | ".join(titles) + " |\n|" + " - |" * len(titles))
    for runs in peers:
        print("| " + " | ".join(_cells(runs, peers[0], goal, clock)) + " |")
    shared = peers[0].settings
    print("\n" + ", ".join(f"{k} {shared[k]}" for k in (
        "layers", "heads", "hidden", "inner", "dropout", "length", "threads")))  # fmt: skip
    print(", ".join(_versions(peers)))
    if figure is not None:
        draw(peers, clock, dataset, figure)


def _sizes(events: pl.DataFrame, dataset: str) -> str:
    parts = [events.filter(pl.col("part") == number) for number in range(len(PARTS))]
    return f"{dataset}: {events['item'].n_unique():,} items; " + "; ".join(
        f"{name} {part['session'].n_unique():,} sessions, {len(part):,} events"
        for name, part in zip(PARTS, parts, strict=True)
    )


def _cells(runs: Runs, first: Runs, goal: float, clock: str) -> list[str]:
    curves = list(runs.curves.values())
    epochs = " ".join(f"{len(curve.epochs)} ({curve.best['epoch']})" for curve in curves)
    reached = [curve.seconds_to(goal, clock) for curve in curves]
    typical = float(np.median(reached))
    number = sum(map(np.isfinite, reached))
    best = _spelled([curve.best["ndcg@10"] for curve in curves], curves[0].best["se"])
    before = [curve.found["setup_" + clock] for curve in runs.finished]
    return [
        runs.name, str(len(curves)), str(runs.settings["batch"]),
        f"{runs.settings['learning_rate']:g}", epochs,
        f"{np.median([curve.seconds_per_epoch(clock) for curve in curves]):.2f}",
        (f"{typical:.1f}" if np.isfinite(typical) else "–")
        + (f" ({number} of {len(curves)})" if number < len(curves) and len(curves) > 1 else ""),
        f"{np.median(before):.1f}" if before else "–",
        best, *_tested(runs, first),
    ]  # fmt: skip


def _tested(runs: Runs, first: Runs) -> tuple[str, str]:
    """Test nDCG@10, and how much more it is than that of ``first``, by event and seed."""
    own = {seed: value for seed in runs.curves if (value := runs.ndcg(seed)) is not None}
    if not own:
        return "not finished", "–"
    test = runs.finished[0].test
    assert test is not None
    found = _over(list(own.values()), test["session"].to_numpy())
    both = {seed: other for seed in own if (other := first.ndcg(seed)) is not None}
    if runs is first or not both:
        return found, "–"
    other_test = first.finished[0].test
    assert other_test is not None
    if not test["session"].equals(other_test["session"]):
        raise SystemExit(f"{runs.name} and {first.name} were tested on different events")
    differences = [own[seed] - both[seed] for seed in both]
    return found, _over(differences, test["session"].to_numpy(), sign="+")


def _over(values: list[np.ndarray], session: np.ndarray, sign: str = "") -> str:
    """Mean of values [n] of events, of one array for each seed, ± its standard error."""
    _, error = mean_and_error(np.mean(values, axis=0), session)
    return _spelled([float(value.mean()) for value in values], error, sign)


def _spelled(of_seeds: list[float], error: float, sign: str = "") -> str:
    """Mean over seeds ± √(error² + variance between the seeds / their number)."""
    between = np.var(of_seeds, ddof=1) / len(of_seeds) if len(of_seeds) > 1 else 0.0
    return f"{np.mean(of_seeds):{sign}.4f} ± {np.sqrt(error**2 + between):.4f}"


def _versions(peers: list[Runs]) -> list[str]:
    """Of packages, all of them where the two environments differ, and of the machine."""
    found: dict[str, list[str]] = {}
    for curve in (curve for runs in peers for curve in runs.curves.values()):
        for package, number in curve.found.get("versions", {}).items():
            found.setdefault(package, []).append(number)
    packages = [f"{name} {' and '.join(dict.fromkeys(all_))}" for name, all_ in found.items()]
    return [*packages, f"Python {platform.python_version()}", _machine()]


def _machine() -> str:
    name = platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    return f"{os.cpu_count()} cores of {name}"


def draw(peers: list[Runs], clock: str, dataset: str, path: Path) -> None:
    """Validation nDCG@10 over training seconds, on a logarithmic axis; seeds in one colour."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for number, runs in enumerate(peers):
        labels = chain([runs.name], repeat(None))
        for label, curve in zip(labels, runs.curves.values(), strict=False):
            axes.plot(curve.epochs[clock], curve.epochs["ndcg@10"], f"C{number}", marker=".",
                      linewidth=1, label=label)  # fmt: skip
    axes.set(xscale="log", xlabel=f"training seconds ({clock})", title=dataset,
             ylabel="validation nDCG@10")  # fmt: skip
    axes.legend()
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


if __name__ == "__main__":
    app()
