"""Logs of ratings: which are kept, what each is worth, and their account (paper, section 4.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from dataset_prep import atomic, command, logs
from dataset_prep.sources import InputError, Source

REWARDS = {0.0: 0.0, 3.0: 0.5, 4.0: 1.0}  # from this rating on
EVENTS = pl.Enum(["rated", "liked"])

MinRatingsOption = Annotated[
    int, typer.Option(*command.spellings("min_ratings"), min=0, help="Drop users with fewer")
]
MaxRatingsOption = Annotated[
    int,
    typer.Option(
        *command.spellings("max_ratings"), min=0, help="Keep each user's most recent; 0: all"
    ),
]
MinItemRatingsOption = Annotated[
    int,
    typer.Option(
        *command.spellings("min_item_ratings"), min=0, help="Then drop items with fewer left"
    ),
]
RewardOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RATING=VALUE",
        help="Reward from this rating on; repeat it. Default: 0=0, 3=0.5, 4=1",
    ),
]


@dataclass(frozen=True)
class Preparation:
    """Which ratings are kept, and the reward of a rating: that of the highest key it reaches."""

    min_ratings: int = 5
    max_ratings: int = 200  # 0: all
    min_item_ratings: int = 0
    rating_to_reward: Mapping[float, float] = field(default_factory=lambda: dict(REWARDS))

    @property
    def reward(self) -> pl.Expr:
        """Reward of the column ``rating``; null below every key."""
        reward: pl.Expr = pl.lit(None, pl.Float64)
        for key, value in sorted(self.rating_to_reward.items()):
            reward = pl.when(pl.col("rating") >= key).then(pl.lit(value)).otherwise(reward)
        return reward


def rating_to_reward(options: Sequence[str]) -> dict[float, float]:
    """``RATING=VALUE`` options as a dictionary, the paper's where there are none."""
    rewards: dict[float, float] = {}
    for name, value in command.rewards_from(options).items():
        try:
            rating = float(name)
        except ValueError:
            rating = math.nan
        if not math.isfinite(rating):
            raise InputError(f"--reward {name}={value:g}: {name} is no rating such as 3 or 3.5")
        if rating in rewards:
            raise InputError(f"--reward names {rating:g} twice: keep one")
        rewards[rating] = value
    return rewards or dict(REWARDS)


def write(
    log: pl.LazyFrame,
    preparation: Preparation,
    folder: Path,
    *,
    converter: str,
    on_error: str,
    bad_rows: Mapping[str, int],
    inputs: Sequence[Source],
) -> atomic.Summary:
    """Fill ``folder`` with what is left of ``log``: one pass over users, then one over items.

    Users with ``min_ratings``, the last ``max_ratings`` of each, items that then have
    ``min_item_ratings``. Raises InputError for a rating below every reward's.
    """
    reward = preparation.reward
    raw, raw_events = counts(log, reward), logs.events(log, "rating")
    lowest, key = min(map(float, raw_events), default=math.inf), min(preparation.rating_to_reward)
    if lowest < key:
        raise InputError(
            f"a rating of {lowest:g} has no reward, since the lowest --reward is from {key:g} on: "
            f"add --reward {lowest:g}=VALUE"
        )
    recent = logs.most_recent(log, preparation.min_ratings, preparation.max_ratings)
    kept = logs.at_least(recent, "item", preparation.min_item_ratings)
    event = pl.when(reward >= 1).then(pl.lit("liked")).otherwise(pl.lit("rated"))
    kept = kept.with_columns(event=event.cast(EVENTS))
    single, longest = logs.lengths(kept)
    summary = atomic.Summary(
        converter=converter,
        raw=raw,
        kept=counts(kept.lazy(), reward),
        raw_events=raw_events,
        dropped={
            **_dropped_by_user(log, preparation),
            "ratings_of_rare_items": len(recent) - len(kept),
        },
        bad_rows=bad_rows,
        single_event_sequences=single,
        longest_sequence=longest,
        settings={
            "min_ratings": preparation.min_ratings,
            "max_ratings": preparation.max_ratings,
            "min_item_ratings": preparation.min_item_ratings,
            "on_error": on_error,
        },
        inputs=inputs,
        purchase_events=["liked"],
        click_events=["rated"],
        rating_to_reward=preparation.rating_to_reward,
        rewards=logs.events(kept.lazy().select(reward=reward), "reward"),
    )
    return atomic.write(kept, reward, summary, folder)


def counts(log: pl.LazyFrame, reward: pl.Expr) -> logs.RatingCounts:
    """Sequences, items, ratings, and of these the liked ones, whose reward reaches 1."""
    row = log.select(
        sequences=pl.col("session").n_unique(),
        items=pl.col("item").n_unique(),
        ratings=pl.len(),
        liked=(reward >= 1).sum(),
    )
    return logs.RatingCounts(**row.collect(engine="streaming").row(0, named=True))


def _dropped_by_user(log: pl.LazyFrame, preparation: Preparation) -> dict[str, int]:
    size = pl.col("size").cast(pl.Int64)
    few, most = size < preparation.min_ratings, preparation.max_ratings
    older = (size.filter(~few) - most).clip(0).sum() if most else pl.lit(0)
    sizes = log.group_by("session").agg(size=pl.len())
    row = sizes.select(ratings_of_short_users=size.filter(few).sum(), older_ratings=older)
    return row.collect(engine="streaming").row(0, named=True)
