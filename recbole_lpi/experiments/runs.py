"""Load finished runs, and say which of them may stand in one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.evaluation.metrics import Kinds
from recbole_lpi.plugin.properties import defaults
from recbole_lpi.plugin.recbole_settings import RecBoleSettings
from recbole_lpi.plugin.setting_names import empty_values, names
from recbole_lpi.policy.settings import EARLIER
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError, Values, refused
from recbole_lpi.training.run_folder import RunFolder

# Which events there are, and which of them a run is measured on and how. RecBole's filters, with
# what it takes an empty one for,
FILTERS = {"dataset": None, **empty_values(RecBoleSettings, Role.FILTER)}
# and our own settings; shares and seed of the split where they decide (``_load``). The input
# length, loss_on_last and gamma are the policy's own affair.
WHERE_THEY_DECIDE = {"split_ratio", "split_seed"}
MEASURED = [
    name
    for name in names(Role.LOG, Role.KINDS, Role.TARGETS, Role.SPLIT, of=DataSettings)
    if name not in WHERE_THEY_DECIDE
]
HASHES = {
    "data": "the data themselves or their split", "imputation": "what imputes their rewards",
}  # fmt: skip
# Neither data nor policy: where a run went, on what machine, what it printed. The logging policy
# is told apart by what it says of the events, not by its path.
NO_POLICY = frozenset(
    names(
        Role.SEED, Role.SPLIT, Role.PLACE, Role.MADE, Role.CACHE, Role.MEASURING, Role.MACHINE,
        Role.HOUSEKEEPING, Role.SPEED, Role.FOLDER, Role.CALL,
    )
)  # fmt: skip


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, with what it was given and what others must share with it.

    Attributes:
        config: every setting.
        protocol: those that two runs must share to be compared, the split's spelt out.
        kinds: the events that count as purchases and as clicks.
    """

    folder: RunFolder
    config: dict[str, Any]
    protocol: dict[str, Any]
    kinds: Kinds

    @property
    def model(self) -> str:
        """The name of the policy's model."""
        return str(self.config["model"])

    @property
    def seed(self) -> Any:
        """The seed that everything of the run was drawn with."""
        return self.config.get("seed")

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the policy: settings that are neither of the data nor incidental.

        A run of before there was a setting has its default, or what was done then.
        """
        left_out = NO_POLICY | set(FILTERS) | set(MEASURED)
        own = defaults(self.model, str(self.config["dataset"]))
        earlier = {name: value for name, value in EARLIER.items() if name in own}
        every = {**own, **earlier, **self.config}
        return {k: v for k, v in every.items() if k not in left_out and v is not None}


def load(path: str | Path) -> FinishedRun:
    """Load the run in a folder; SettingError if it is none, did not finish, or kept no events."""
    with refused(f"{path} is no run that can be compared"):
        return _load(path)


def _load(path: str | Path) -> FinishedRun:
    folder = RunFolder(path)
    config = folder.read_config()
    if not folder.finished:
        raise SettingError(f"{path} did not finish: go on with it by --resume={path}")
    if not folder.events.is_file():
        raise SettingError(
            f"{path} has no events.parquet: it was never measured on the test part, as a logging "
            "policy trained for another run is not; train it as a run of its own"
        )
    if "model" not in config or "dataset" not in config:
        raise SettingError(f"{folder.config} names no model or no dataset")
    try:
        data = DataSettings.of(Values(config))
    except SettingError as error:
        raise SettingError(f"{folder.config}: {error}") from None
    protocol = {
        key: empty if config.get(key) is None else config[key] for key, empty in FILTERS.items()
    }
    protocol |= {key: getattr(data, key) for key in MEASURED}
    protocol |= {"reward_field": data.reward_column, "event_field": data.event_column}
    if data.reward_column in ((config.get("load_col") or {}).get("inter") or ()):
        del protocol["rating_to_reward"]  # read only where the log has no rewards
    if data.split != "leave_one_out" and data.split_at is None:
        protocol["split_ratio"] = data.split_ratio
    if data.split == "random":
        protocol["split_seed"] = data.seed if data.split_seed is None else data.split_seed
    metrics = folder.read_metrics()
    protocol["data"] = metrics.get("data")
    protocol["imputation"] = (metrics.get("imputation") or {}).get("model")
    return FinishedRun(folder, config, protocol, Kinds(data.purchase_events, data.click_events))


def load_comparable(paths: Sequence[str | Path]) -> list[FinishedRun]:
    """Load runs; SettingError if one is given twice or differs in data, split or protocol."""
    if not paths:
        raise SettingError("no run is given: name the folders of finished runs")
    seen: set[Path] = set()
    for path in paths:
        if Path(path).resolve() in seen:
            raise SettingError(f"{path} is given twice")
        seen.add(Path(path).resolve())
    first, *others = runs = [load(path) for path in paths]
    for other in others:
        refuse_incomparable(first, other)
    return runs


def refuse_incomparable(a: FinishedRun, b: FinishedRun) -> None:
    """Raise SettingError that names every setting of data, split or protocol that differs."""
    differing = [
        _difference(key, a, b)
        for key in {**a.protocol, **b.protocol}
        if not _agree(key, a.protocol.get(key), b.protocol.get(key))
    ]
    if differing:
        raise SettingError(
            f"{a.folder.path} and {b.folder.path} cannot stand in one table: "
            + "; ".join(differing)
            + ". Compare runs of the same data, split and protocol"
        )


def _agree(key: str, one: Any, other: Any) -> bool:
    if key in HASHES and None in (one, other):  # not kept, or nothing to keep
        return True
    if isinstance(one, str) and isinstance(other, str):  # [5,inf) is [5, inf)
        return "".join(one.split()) == "".join(other.split())
    return bool(one == other)


def _difference(key: str, a: FinishedRun, b: FinishedRun) -> str:
    one, other = (_spelled(run.protocol.get(key)) for run in (a, b))
    if key in HASHES:
        return f"{HASHES[key]} (hash {one} and {other})"
    said = f"{key} is {one} and {other}"
    followers = [run for run in (a, b) if run.config.get("split_seed") is None]
    if key == "split_seed" and followers:
        return f"{said} (where it is empty it follows seed: give every seed one --split_seed)"
    return said


def _spelled(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
