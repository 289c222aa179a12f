"""Whether a policy is served as it was evaluated: its run's events against load_policy and ONNX.

    python benchmarks/serving_agreement.py runs/first dataset/shop/shop.inter
    python benchmarks/serving_agreement.py runs/first dataset/shop/shop.inter --draws=1000000

Reads the log that the run was trained on, takes the held-out events of some of its sessions, and
compares with events.parquet what is recommended after the events before each: the first item, the
place in the list of k of the item that came, and its log π. Then the lists of load_policy with
those of ONNX. With draws it compares how often an item is drawn with its propensity, by χ² over the
items that are expected five times or more and all others together.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from scipy import stats

from recbole_lpi.serving import Recommender, load_onnx, load_policy
from recbole_lpi.serving.onnx_export import TOLERANCE, export_onnx
from recbole_lpi.serving.session_files import SessionFile


def histories_before(
    events: pl.DataFrame, log: Path, policy: Recommender
) -> list[list[tuple[Any, ...]]]:
    """The events before each row of an event table, as the log has them.

    Positions count the events that the run read: those of items that its filters left.
    """
    rows = pl.concat(list(SessionFile.open(log).batches()))
    rows = rows.filter(pl.col("session_id").is_in(events["session_id"].unique().implode()))
    rows = rows.filter(pl.Series(policy.vocabulary.ids(rows["item_id"]) > 0))
    rows = rows.sort("session_id", "timestamp", maintain_order=True)
    of_session = {
        name: list(one.select("item_id", "event", "timestamp").iter_rows())
        for (name,), one in rows.partition_by("session_id", as_dict=True).items()
    }
    where = events.select("session_id", "position").iter_rows()
    return [of_session[name][:position] for name, position in where]


def compare(policy: Recommender, name: str, events: pl.DataFrame, asked: Any, k: int) -> Any:
    """Print how what is recommended differs from the event table; the lists."""
    found = policy.recommend(asked, k=k)
    log_pi = policy.log_prob(asked, events["item_id"].to_list())
    tied = found.scores[:, 0] - found.scores[:, 1] < TOLERANCE
    greedy = found.items[:, 0] == events["greedy_item"].to_numpy()
    at = found.items == events["item_id"].to_numpy()[:, None]
    place = np.where(at.any(1), at.argmax(1) + 1, k + 1)
    rank = np.minimum(events["rank"].to_numpy(), k + 1)
    beside = np.abs(found.scores - log_pi[:, None]) < TOLERANCE  # what the item is tied with
    off = (np.abs(place - rank) > beside.sum(1) - at.any(1)) & (place != rank)
    print(
        f"{name}: {len(events)} events of {events['session_id'].n_unique()} sessions; another "
        f"first item {int((~greedy & ~tied).sum())} times ({int((~greedy & tied).sum())} ties), "
        f"another place among {k} {int(off.sum())} times "
        f"({int(((place != rank) & ~off).sum())} ties); "
        f"log π differs by at most {np.abs(log_pi - events['log_pi'].to_numpy()).max():.1e}"
    )
    return found


def draw(policy: Recommender, history: Any, number: int) -> None:
    """Print how well the frequencies of first draws agree with their propensities."""
    n_items = policy.policy.n_items
    everything = policy.recommend([history], k=n_items)
    share = np.zeros(n_items + 1)
    share[everything.ids[0]] = everything.propensities[0]
    _, encoded, _ = policy.read([history])
    choice, counts = policy.choice(1, sample=True, seed=1), np.zeros(n_items + 1)
    log_pi = policy.policy.log_pi(encoded)
    at_once = max(1, 2**24 // n_items)
    for first in range(0, number, at_once):
        rows = min(at_once, number - first)
        found = choice.of(np.broadcast_to(log_pi, (rows, n_items)), encoded.items)
        counts += np.bincount(found.place[:, 0] + 1, minlength=n_items + 1)
    often = number * share >= 5
    seen, expected = (np.append(x[often], x[~often].sum()) for x in (counts, number * share))
    test = stats.chisquare(seen, expected * number / expected.sum())
    print(
        f"{number:,} draws: χ² {test.statistic:.1f} with {len(seen) - 1} degrees of freedom, "
        f"p {test.pvalue:.3f}; the propensities sum to {share.sum():.7f}"
    )


def main(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    log: Annotated[Path, typer.Argument(help="The log it was trained on.")],
    sessions: Annotated[int, typer.Option(help="Held-out ones.")] = 1000,
    k: Annotated[int, typer.Option(help="Items in a list.")] = 20,
    draws: Annotated[int, typer.Option(help="Of the first item after one history.")] = 0,
) -> None:
    """Measure and print."""
    events = pl.read_parquet(run / "events.parquet")
    some = events["session_id"].unique(maintain_order=True)[:sessions]
    events = events.filter(pl.col("session_id").is_in(some.implode()))
    policy = load_policy(run)
    asked = histories_before(events, log, policy)
    found = compare(policy, "load_policy", events, asked, k)
    if hasattr(policy.policy, "network"):
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(run, Path(folder) / "policy.onnx", asked, k)
            other = compare(load_onnx(folder), "ONNX", events, asked, k)
        rows = (other.ids != found.ids).any(1)
        apart = np.abs(other.scores - found.scores).max()
        print(f"ONNX has another order {int(rows.sum())} times; log π differs by {apart:.1e}")
    if draws:
        draw(policy, asked[len(asked) // 2], draws)


if __name__ == "__main__":
    typer.run(main)
