"""Kinds of events and time gaps as inputs: they are read, in every way alike, and do not leak."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recbole_lpi.data.batches import History, collate, prefixes
from recbole_lpi.data.sessions import flat_sessions, whole_of
from recbole_lpi.data.times import GAP_BINS, gap_bins
from recbole_lpi.data.windows import evaluation_windows
from recbole_lpi.policy.histories import most_recent, opened
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import NetworkSettings, PolicySettings
from tests.support.tiny import batch, make

ALL = {"inputs": ["item", "event", "time_gap"], "repeat_head": True}


def policy(name="LPIRL", **settings):
    return make(name, **{**ALL, **settings}).eval()


def store(seed=0, sessions=8, items=6):
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), rng.integers(2, 9, sessions))
    n = len(session)
    time = rng.integers(0, 500, n).cumsum() * 1.0
    return flat_sessions(
        session, rng.integers(1, items + 1, n), time, np.ones(n), rng.integers(0, 2, n),
        ("click", "purchase"),
    )  # fmt: skip


def test_gaps_are_binned_by_doubling_seconds():
    seconds = np.array([-5.0, 0, 0.9, 1, 1.9, 2, 3.9, 4, 3600, 1e12])
    assert gap_bins(seconds).tolist() == [1, 1, 1, 2, 2, 3, 3, 4, 13, GAP_BINS]


def test_a_batch_reads_kinds_and_gaps_of_the_events_before_and_of_no_other():
    log = store()
    windows = evaluation_windows(log, whole_of(log), 4, first_event=True)
    found = collate(log, windows, 0.5, start_token=7)
    row, column = found.counts.nonzero(as_tuple=True)
    assert len(row) == len(log.items)
    for b, position in zip(row.tolist(), column.tolist(), strict=True):
        place, opens = int(found.place[b, position]), bool(windows.opens[b])
        begin = int(windows.begin[b])
        wanted = list(range(begin, place))
        start = [0] if opens else []
        kinds = [*start, *(int(log.events[p]) + 1 for p in wanted)]
        times = log.timestamps
        gaps = [int(gap_bins(times[p] - times[p - 1])) if p > begin else 0 for p in wanted]
        assert found.kind_seq[b, : position + 1].tolist() == kinds
        assert found.gap_seq[b, : position + 1].tolist() == [*start, *gaps]
    assert not found.kind_seq[found.item_seq == 0].any()
    assert not found.gap_seq[found.item_seq == 0].any()


@pytest.mark.parametrize("first_event", [False, True])
def test_rows_lists_and_windows_give_the_same_logits(first_event):
    """Of prefixes as RecBole reads them, of histories that are too long, and of a batch."""
    log, longest = store(), 4
    network = policy(MAX_ITEM_LIST_LENGTH=longest, evaluate_first_event=first_event).float()
    windows = evaluation_windows(log, whole_of(log), longest, first_event)
    found = collate(log, windows, 0.5, start_token=7)
    scores = network.factors(found.history, found.counts).outputs()
    place = found.place[found.counts].numpy()
    for length in (longest, longest + 5):
        rows = network.last_factors(*prefixes(log, place, length)).outputs()
        torch.testing.assert_close(rows, scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("read", [["item", "event"], ["item", "time_gap"], ["item"]], ids=str)
def test_what_is_read_moves_the_logits_and_what_is_not_does_not(read):
    network, history = policy(inputs=read, repeat_head=False), batch().history
    at = batch().counts
    before = network.factors(history, at).outputs()
    for name, other in (
        ("event", history._replace(kinds=(history.kinds > 0) * (3 - history.kinds))),
        ("time_gap", history._replace(gaps=(history.gaps > 0) * (32 - history.gaps))),
    ):
        moved = not torch.equal(network.factors(other, at).outputs(), before)
        assert moved == (name in read)


def test_only_the_repeat_head_reads_an_item_that_was_seen_by_its_kind():
    network, b = policy(inputs=["item", "event"]), batch()
    added = network.factors(b.history, b.counts).added
    other = b.history._replace(kinds=(b.history.kinds > 0) * (3 - b.history.kinds))
    assert not torch.equal(network.factors(other, b.counts).added.value, added.value)
    blind = policy(inputs=["item"])
    added = blind.factors(b.history, b.counts).added
    assert torch.equal(blind.factors(other, b.counts).added.value, added.value)


@pytest.mark.parametrize("encoder", ["sasrec", "gru4rec", "nextitnet"])
@pytest.mark.parametrize("position", [1, 2, 3])
def test_nothing_of_a_later_event_leaks_into_earlier_logits(encoder, position):
    """Neither its item, its kind, nor the time before it."""
    args = {"block_num": 1, "dilations": [1, 2]} if encoder == "nextitnet" else {}
    network = policy(encoder=encoder, encoder_args=args)
    items = torch.tensor([[3, 1, 3, 2], [4, 4, 4, 4]])
    kinds, gaps = torch.tensor([[1, 2, 1, 2]] * 2), torch.tensor([[0, 5, 9, 1]] * 2)
    at = torch.zeros_like(items, dtype=torch.bool)
    at[:, :position] = True
    before = network.factors(History(items, kinds, gaps), at).outputs()
    for field, value in ((items, 1), (kinds, 1), (gaps, 20)):
        kept = field.clone()
        field[:, position:] = value
        after = network.factors(History(items, kinds, gaps), at).outputs()
        assert torch.equal(before, after)
        field.copy_(kept)
    items[:, position - 1] = 6  # which is no later one
    assert not torch.equal(before, network.factors(History(items, kinds, gaps), at).outputs())


def test_a_history_that_lacks_what_is_read_is_refused_by_name():
    history = History(torch.tensor([[3, 1]]))
    with pytest.raises(ValueError, match=r"needs kinds beside its items"):
        policy().factors(history, torch.tensor([[False, True]]))
    with pytest.raises(ValueError, match="event_names"):
        PolicyNetwork("LPI", PolicySettings(NetworkSettings(inputs=("item", "event"))), 5)
    with pytest.raises(ValueError, match="inputs must be item"):
        NetworkSettings(inputs=("event",))


def test_histories_are_cut_and_opened_in_all_their_fields():
    history = History(
        torch.tensor([[5, 1, 4], [3, 0, 0]]), torch.tensor([[1, 2, 1], [2, 0, 0]]),
        torch.tensor([[0, 8, 9], [0, 0, 0]]),
    )  # fmt: skip
    length = torch.tensor([3, 1])
    kept: Any
    kept, short = most_recent(history, length, 2)
    items, kinds, gaps = kept
    assert items.tolist() == [[1, 4], [3, 0]] and kinds.tolist() == [[2, 1], [2, 0]]
    assert gaps.tolist() == [[0, 9], [0, 0]] and short.tolist() == [2, 1]
    kept, longer = opened(kept, short, 9, 2)
    items, kinds, gaps = kept
    assert items.tolist() == [[1, 4], [9, 3]] and kinds.tolist() == [[2, 1], [0, 2]]
    assert gaps.tolist() == [[0, 9], [0, 0]] and longer.tolist() == [2, 2]


def test_rows_of_padding_are_0_and_stay_so_and_all_others_are_learnt():
    network, b = policy(), batch()
    tables = dict(network.event_embedding.tables.items())
    assert set(tables) == {"event", "time_gap"}
    assert all(not table.weight[0].any() and table.weight[1:].all() for table in tables.values())
    network.factors(b.history, b.counts).outputs().square().sum().backward()
    for name, field in (("event", b.kind_seq), ("time_gap", b.gap_seq)):
        moved = tables[name].weight.grad.any(1).nonzero().flatten().tolist()
        assert moved and 0 not in moved and set(moved) <= set(field.unique().tolist())
        assert 1 in moved


def test_all_logits_are_divided_by_the_temperature_what_is_added_too():
    network, b = policy("LoggingPolicy", fit_temperature=True), batch()
    before = network.factors(b.history, b.counts)
    network.temperature.fill_(2.0)
    after = network.factors(b.history, b.counts)
    assert before.added.value.any()
    torch.testing.assert_close(after.outputs(), before.outputs() / 2)
    last = network.last_factors(b.history, (b.item_seq > 0).sum(1)).outputs()
    network.temperature.fill_(1.0)
    wanted = network.last_factors(b.history, (b.item_seq > 0).sum(1)).outputs() / 2
    torch.testing.assert_close(last, wanted)


def test_a_history_is_opened_however_wide_it_is_padded_and_none_without_events_is_read():
    network = policy(evaluate_first_event=True, MAX_ITEM_LIST_LENGTH=4).float()
    length = torch.tensor([2, 1, 0])
    items, kinds = torch.tensor([[3, 1], [2, 0], [0, 0]]), torch.tensor([[1, 2], [1, 0], [0, 0]])
    fields = items, kinds, torch.tensor([[0, 5], [0, 0], [0, 0]])
    narrow, wide = History(*fields), History(*(nn.functional.pad(each, (0, 2)) for each in fields))
    ours, theirs = (network.last_factors(each, length).outputs() for each in (narrow, wide))
    torch.testing.assert_close(ours, theirs)
    with pytest.raises(ValueError, match="a history without events needs evaluate_first_event"):
        policy().last_factors(narrow, length)


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_gaps_are_of_seconds_whatever_the_unit_of_the_log(unit):
    seconds = np.array([0, 30.0, 31, 4000, 2e6]).cumsum() + 1.5e9
    log = flat_sessions(
        np.zeros(5, int), np.arange(1, 6), seconds * unit, np.ones(5), np.zeros(5, int), ("click",)
    )
    wanted = [0, *gap_bins(np.array([30.0, 31, 4000, 2e6]))]
    (_, _, gaps), _ = prefixes(log, [4], 4)
    assert gaps is not None
    assert gaps[0].tolist() == wanted[:4]
    windows = evaluation_windows(log, whole_of(log), 4, first_event=False)
    assert collate(log, windows, 0.5).gap_seq.tolist() == [wanted[:4]]
