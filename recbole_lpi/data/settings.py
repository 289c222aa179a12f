"""Settings of the data: which columns, what a rating is worth, how sessions are split and cut."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from recbole_lpi import settings
from recbole_lpi.data.eval_args import EvalArgs
from recbole_lpi.data.split import SPLITS, read_cuts
from recbole_lpi.roles import Role, setting
from recbole_lpi.settings import Config, SettingError

NO_HOLDOUT = (
    "session_end, which orders sessions by their last event and is no holdout in time, or cutoff, "
    "which holds out what is after a time"
)
INTERVAL = re.compile(r"[\[(]([^,]+),([^,]+)[\])]")


@dataclass(frozen=True)
class DataSettings:
    """Settings of the data. ValueError names the setting, its value and what it may be.

    Attributes:
        reward_field: column of rewards; None: ``reward``, or where the log has no such column,
            ``rating_to_reward`` is applied.
        event_field: column of event kinds; None: ``event``, or where the log has no such column, an
            event is ``liked`` or ``rated`` as its reward reaches 1 or does not.
        PROPENSITY_FIELD: column of propensities μ(a | x) in (0, 1], the probability with which each
            item was shown; read where the log has it. ``none``: not read.
        rating_to_reward: reward of each rating; a rating between two keys takes the lower one's.
        purchase_events, click_events: the kinds that count as purchases and as clicks.
        split: ``random``, ``session_end``, ``cutoff`` or ``leave_one_out``; None reads RecBole's
            ``eval_args``.
        split_ratio: shares of training, validation and test sessions, or of ``cutoff`` events; or,
            after a null, how many sessions validate and test, of which the others train.
        split_at: when training and when validation end, of ``cutoff``: two dates, times of the log
            or shares of its events; None: by ``split_ratio``.
        max_length: K, most recent events the encoder reads (``MAX_ITEM_LIST_LENGTH``).
        loss_on_last: m, the last events of a session that carry loss (Figure 1a); None: all K.
        training_windows: ``last``: one window per session, its most recent events; ``all``: as many
            as it takes to learn from every event of a long session once; None: all, or last where
            ``loss_on_last`` is set.
        evaluate_first_event: also predict a session's first event, from no history.
        gamma: discount γ, in [0, 1].
        seed: of the order of batches, and of the random split unless ``split_seed`` is set.
        split_seed: of the random split alone, so that several seeds share one split.
        session_cache_dir: where loaded sessions are kept for later runs; ``none``: nowhere.
    """

    USER_ID_FIELD: str = setting(Role.LOG)
    ITEM_ID_FIELD: str = setting(Role.LOG)
    TIME_FIELD: str = setting(Role.LOG)
    RATING_FIELD: str = setting(Role.LOG, "rating")
    PROPENSITY_FIELD: str = setting(Role.LOG, "propensity")
    reward_field: str | None = setting(Role.LOG, None)
    event_field: str | None = setting(Role.LOG, None)
    rating_to_reward: dict[float, float] = setting(Role.LOG, factory=dict)
    purchase_events: tuple[str, ...] = setting(Role.KINDS, ("purchase", "liked"))
    click_events: tuple[str, ...] = setting(Role.KINDS, ("click", "rated"))
    split: str = setting(Role.SPLIT, "random")
    split_ratio: tuple[float | None, float, float] = setting(Role.SPLIT, (0.8, 0.1, 0.1))
    split_at: tuple[Any, ...] | None = setting(Role.SPLIT, None)
    max_length: int = setting(Role.WINDOWS, 20, name="MAX_ITEM_LIST_LENGTH")
    loss_on_last: int | None = setting(Role.WINDOWS, None, policies_alone=True)
    training_windows: str | None = setting(Role.WINDOWS, None)
    evaluate_first_event: bool = setting(Role.TARGETS, False)
    gamma: float = setting(Role.MODEL, 0.5)
    seed: int = setting(Role.SEED, 2020)
    split_seed: int | None = setting(Role.SPLIT, None)
    session_cache_dir: str = setting(Role.CACHE, "runs/sessions")

    def __post_init__(self) -> None:
        _require(self.split != "time", "split", self.split, NO_HOLDOUT)
        _require(self.split in SPLITS, "split", self.split, f"one of {', '.join(SPLITS)}")
        training, *held_out = self.split_ratio
        if training is None:
            sound = all(number >= 1 and number % 1 == 0 for number in held_out)
        else:
            sound = min(training, *held_out) > 0 and not training < 1 < max(held_out)
        rule = "three shares > 0, or ~ and whole numbers of validation and test sessions"
        _require(sound, "split_ratio", list(self.split_ratio), rule)
        self._check_cutoff()
        _require(self.max_length > 0, "MAX_ITEM_LIST_LENGTH", self.max_length, "> 0")
        m = self.loss_on_last
        _require(m is None or m > 0, "loss_on_last", m, "> 0, or null for all")
        every = self.training_windows == "all"
        known = every or self.training_windows in (None, "last")
        _require(known, "training_windows", self.training_windows, "last, all or empty")
        _require(not (m and every), "loss_on_last", m, "empty with training_windows: all")
        _require(0 <= self.gamma <= 1, "gamma", self.gamma, "in [0, 1]")
        seed = self.split_seed
        _require(seed is None or seed >= 0, "split_seed", seed, ">= 0")
        both = set(self.purchase_events) & set(self.click_events)
        _require(not both, "purchase_events and click_events", sorted(both), "different kinds")

    def _check_cutoff(self) -> None:
        cutoff, at = self.split == "cutoff", self.split_at
        _require(at is None or cutoff, "split_at", at, "empty, or split be cutoff")
        if at is not None:
            try:
                read_cuts(at)
            except ValueError as error:
                _require(False, "split_at", list(at), f"two dates or times, rising ({error})")
        elif cutoff:
            rule = "shares, or split_at be set: cutoff takes no numbers of sessions"
            _require(self.split_ratio[0] is not None, "split_ratio", list(self.split_ratio), rule)

    @property
    def windows_trained_on(self) -> str:
        """``training_windows``; where it is empty ``all``, or ``last`` with ``loss_on_last``."""
        return self.training_windows or ("all" if self.loss_on_last is None else "last")

    @property
    def reward_column(self) -> str:
        """The name of the column of rewards, read or derived."""
        return self.reward_field or "reward"

    @property
    def propensity_column(self) -> str | None:
        """The name of the column of propensities, where there is one; None: none is read."""
        return None if self.PROPENSITY_FIELD == "none" else self.PROPENSITY_FIELD

    @property
    def event_column(self) -> str:
        """The name of the column of kinds of event, read or derived."""
        return self.event_field or "event"

    @classmethod
    def of(cls, config: Config) -> DataSettings:
        """Read settings from RecBole's config; ``eval_args`` decide where ``split`` is None."""
        for name in ("user_inter_num_interval", "item_inter_num_interval"):
            if config[name] is not None:
                check_intervals(name, config[name])
        return settings.read(cls, _WithSplit(config))


def check_intervals(name: str, value: object) -> None:
    """Raise SettingError unless RecBole reads it as intervals, separated by semicolons.

    RecBole itself leaves out what it cannot read, and filters by the rest.
    """
    for interval in str(value).split(";"):
        found = INTERVAL.fullmatch(interval.strip())
        try:
            sound = found is not None and float(found[1]) <= float(found[2])
        except ValueError:
            sound = False
        if not sound:
            raise SettingError(
                f"{name} must be an interval such as '[3,inf)', or several separated by ';', "
                f"got {value!r}"
            )


class _WithSplit:
    """RecBole's ``eval_args`` said in our two words, ``split`` and ``split_ratio``."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __getitem__(self, key: str) -> object:
        value = self.config[key]
        if value is not None or key not in ("split", "split_ratio"):
            return value
        args = EvalArgs.of(self.config)
        if args.split.LS is not None:
            return "leave_one_out" if key == "split" else None
        if key == "split_ratio":
            return args.split.RS
        return "session_end" if args.order == "TO" else "random"


def _require(ok: bool, name: str, value: object, rule: str) -> None:
    if not ok:
        raise ValueError(f"{name} must be {rule}, got {value!r}")
