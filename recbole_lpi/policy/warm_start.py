"""Warm start: a policy begins with the weights of another, whose log need not be the same.

Rows of items and of kinds of event are matched by name: what is new keeps the weights that it was
made with, what is gone is dropped. Every other weight is taken as it is, and must have the same
shape. Auxiliary heads are taken where the other policy has the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from recbole_lpi.data.tokens import Tokens
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.policy.checkpoint import built_from, vocabulary
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import EARLIER
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import check_tensor, refusing

EMBEDDING = "item_embedding.weight"  # padding, the items, and where there is one the start token
OF_TRAINING = ("temperature", "mean_weight_size.")  # what one training found; another finds its own
UNSHAPED = (  # settings of the network that change no shape of a weight
    "hidden_dropout_prob", "attn_dropout_prob", "hidden_act", "layer_norm_eps",
    "initializer_range", "initializer", "n_heads",
)  # fmt: skip


class WarmStart(NamedTuple):
    """What a policy took over when it began.

    Attributes:
        model: the policy that it began from.
        kept, new, dropped: how many items both have, this one alone, and the other one alone.
        new_kinds, dropped_kinds: kinds of event that this one alone reads, or the other one alone.
        taken_heads, fresh_heads, dropped_heads: auxiliary heads by name.
    """

    model: str
    kept: int
    new: int
    dropped: int
    new_kinds: tuple[str, ...]
    dropped_kinds: tuple[str, ...]
    taken_heads: tuple[str, ...]
    fresh_heads: tuple[str, ...]
    dropped_heads: tuple[str, ...]

    def __str__(self) -> str:
        """Say in one line what was taken, what is fresh and what was dropped."""
        parts = [
            f"{self.model}: of its items {self.kept:,} are kept and {self.dropped:,} dropped, "
            f"{self.new:,} are new and begin fresh"
        ]
        for what, names in (
            ("kinds of event that begin fresh", self.new_kinds),
            ("kinds of event dropped", self.dropped_kinds),
            ("heads taken", self.taken_heads),
            ("heads that begin fresh", self.fresh_heads),
            ("heads dropped", self.dropped_heads),
        ):
            parts += [f"{what}: {', '.join(names)}"] if names else []
        return "; ".join(parts)


class Source(NamedTuple):
    """The policy that another begins from, as its checkpoint has it.

    Attributes:
        path: what errors call it.
        model: its row of OBJECTIVES.
        items: their names by id, that of padding first.
        kinds: the kinds of event that it reads.
        settings: those that shape its weights, by the names that users give.
        weights: by name.
    """

    path: object
    model: str
    items: Tokens
    kinds: tuple[str, ...]
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]


class _Matched(NamedTuple):
    """Rows by name: how many there are here and there, and the numbers of those both have."""

    number: int
    their_number: int
    here: Tensor
    there: Tensor


def source_of(state: Mapping[str, Any], path: object) -> Source:
    """Take from a checkpoint that was read what a policy begins from.

    Raises:
        SettingError: it is of no policy, of a version that did not keep its items, or broken.
    """
    if state["model"] not in OBJECTIVES:
        raise SettingError(
            f"init_from: {path} holds a {state['model']}; a policy begins from another policy, "
            f"one of {', '.join(sorted(OBJECTIVES))}"
        )
    with refusing(path):
        built, items = built_from(state, path), vocabulary(state, path)
        if built is None or items is None:
            raise SettingError(
                f"init_from: {path} is of an earlier version, which did not keep the names of its "
                "items: train it again"
            )
        network = EARLIER | built["settings"]["network"]
        settings = _shaping({**built["settings"], "network": network})
        kinds = tuple(built["event_names"]) if "event" in settings["inputs"] else ()
        return Source(path, state["model"], items, kinds, settings, state["state_dict"])


@torch.no_grad()
def begin_from(network: PolicyNetwork, items: Tokens, source: Source) -> WarmStart:
    """Give ``network`` the weights of another policy, in place.

    Args:
        network: as it was made.
        items: the name of each of its items by id, that of padding first.
        source: the other policy.

    Raises:
        SettingError: they share no item, or a weight is of another shape, or one of the two lacks
            it. ``network`` is then as it was.
    """
    own, theirs = list(network.state_dict()), list(source.weights)
    heads, their_heads = _by_head(own), _by_head(theirs)
    taken = tuple(name for name in heads if heads[name] == their_heads.get(name))
    fresh = tuple(name for name in heads if name not in taken)
    dropped = tuple(name for name in their_heads if name not in heads)
    left_out = (*OF_TRAINING, *(f"heads.{name}." for name in (*fresh, *dropped)))
    kinds = network.event_names if network.reads_events else ()
    of_items = _matched(items.text[1:], source.items.text[1:])
    if not (kept := len(of_items.here)):
        raise SettingError(f"init_from: {source.path} has none of the items of this data set")
    rows = dict.fromkeys(_growing(network, items=1), of_items)
    rows |= dict.fromkeys(_growing(network, kinds=1), _matched(_text(kinds), _text(source.kinds)))
    with refusing(source.path):
        found = {
            name: _taken(name, network, source, rows.get(name))
            for name in dict.fromkeys([*own, *theirs])
            if not name.startswith(left_out)
        }
        network.load_state_dict(found, strict=False)
    return WarmStart(
        source.model, kept, of_items.number - kept, of_items.their_number - kept,
        tuple(kind for kind in kinds if kind not in source.kinds),
        tuple(kind for kind in source.kinds if kind not in kinds),
        taken, fresh, dropped,
    )  # fmt: skip


def _taken(name: str, network: PolicyNetwork, source: Source, rows: _Matched | None) -> Tensor:
    """Return a weight of the other policy as it is to be here."""
    own, theirs = network.state_dict().get(name), source.weights.get(name)
    what = f"init_from: {source.path}"
    if own is None or theirs is None:
        which = "lacks" if theirs is None else "has, and this run has not,"
        raise SettingError(f"{what} {which} the weights '{name}'{_blamed(network, source)}")
    check_tensor(theirs, name, source.path, infinite=name not in dict(network.named_parameters()))
    shape = list(own.shape)
    if rows is not None:
        shape[0] += rows.their_number - rows.number
    if list(theirs.shape) != shape or theirs.is_floating_point() != own.is_floating_point():
        raise SettingError(
            f"{what} has '{name}' of shape {list(theirs.shape)}, and {shape} is needed"
            f"{_blamed(network, source)}"
        )
    if rows is None:
        return theirs
    # Padding comes before the items, and a start token after them; kinds come last.
    first = 1 if name == EMBEDDING else len(own) - rows.number
    found: Tensor = own.clone()
    found[:first] = theirs[:first]
    found[first + rows.number :] = theirs[first + rows.their_number :]
    found[first + rows.here] = theirs[first + rows.there].to(found)
    return found


def _by_head(names: Iterable[str]) -> dict[str, set[str]]:
    """Map each auxiliary head to the names of its weights."""
    found: dict[str, set[str]] = {}
    for name in names:
        if name.startswith("heads."):
            found.setdefault(name.split(".")[1], set()).add(name)
    return found


def _growing(network: PolicyNetwork, items: int = 0, kinds: int = 0) -> list[str]:
    """Name the weights of a network that have a row for each item, or for each kind of event."""

    def shapes(items: int, kinds: int) -> dict[str, torch.Size]:
        names = (*network.event_names, *map(str, range(kinds)))
        twin = PolicyNetwork(
            network.name, network.settings, 1 + items, encoder=network.encoder, event_names=names
        )
        return {name: value.shape for name, value in twin.state_dict().items()}

    with torch.random.fork_rng(devices=[]):  # that of the run draws what it would have drawn
        few, more = shapes(0, 0), shapes(items, kinds)
    return [name for name in network.state_dict() if few.get(name) != more.get(name)]


def _matched(own: pa.Array, theirs: pa.Array) -> _Matched:
    """Match rows by their names."""
    place = pc.index_in(own, value_set=theirs)
    here = pc.indices_nonzero(pc.is_valid(place))
    return _Matched(len(own), len(theirs), *(
        torch.tensor(numbers.to_numpy(zero_copy_only=False), dtype=torch.int64)
        for numbers in (here, place.drop_null())
    ))  # fmt: skip


def _text(names: Iterable[str]) -> pa.Array:
    return pa.array(list(names), pa.large_string())


def _shaping(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a policy that shape its weights, by the names that users give."""
    network = {name: v for name, v in settings["network"].items() if name not in UNSHAPED}
    return {
        **{name: list(v) if isinstance(v, tuple) else v for name, v in network.items()},
        "MAX_ITEM_LIST_LENGTH": settings["max_length"],
        "evaluate_first_event": settings["evaluate_first_event"],
    }


def _blamed(network: PolicyNetwork, source: Source) -> str:
    """Say which settings make the two networks differ."""
    own, theirs = _shaping(asdict(network.settings)), source.settings
    others = [
        f"{name} {theirs[name]} there and {own[name]} here"
        for name in own
        if name in theirs and own[name] != theirs[name]
    ]
    if not others:
        return ": it is another network; leave init_from empty, to begin from scratch"
    return f": {', '.join(others)}; give both the same, or leave init_from empty"
