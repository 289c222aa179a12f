"""What a run says of its parts: what is trained on, where parts lie in time, what is unseen."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.log_reports import describe_part
from recbole_lpi.plugin.runner import make_config
from tests.support.logs import SMALL


def parts(**given: object) -> list[PolicyDataset]:
    logging.getLogger().setLevel(logging.INFO)
    return PolicyDataset(make_config("LPIRL", "shop", (), {**SMALL, **given})).build()


@pytest.mark.parametrize(
    ("given", "cure"),
    [
        (
            {"MAX_ITEM_LIST_LENGTH": 3, "training_windows": "last"},
            "training_windows: all trains on every one",
        ),
        ({"loss_on_last": 1}, "loss_on_last: 1 leaves them out"),
        ({"MAX_ITEM_LIST_LENGTH": 3}, None),
        ({"MAX_ITEM_LIST_LENGTH": 6}, None),
    ],
)
def test_events_that_are_not_trained_on_are_told(log, caplog, given, cure):
    train, valid, _ = parts(**given)
    every, trained = len(train), int(train.training_windows.targets.sum())
    assert f"{every} to predict, {trained} of them trained on (" in describe_part(train)
    assert "trained on" not in describe_part(valid)
    share = 1 - trained / every
    line = f"{every - trained} of {every} training events ({share:.0%}) are not trained on"
    assert (line in caplog.text) == (cure is not None) == (share > 0.1)
    assert cure is None or cure in caplog.text


@pytest.mark.parametrize("split", ["random", "session_end", "cutoff", "leave_one_out"])
def test_every_split_says_how_far_it_is_one_in_time(log, caplog, split):
    train, *held = parts(split=split)
    last = train.sessions.timestamps[train.part.stop - 1].max()
    for part in held:
        place = np.concatenate(
            [np.arange(*ends) for ends in zip(part.part.start, part.part.stop, strict=True)]
        )
        before = float((part.sessions.timestamps[place] < last).mean())
        (line,) = [r.message for r in caplog.records if r.message.startswith(part.part_name)]
        assert f", {before:.0%} of them before the last of training" in line
        assert (split != "cutoff") or before == 0
    assert "times: 2017-07-14 02:40:00 to " in caplog.text


def test_after_a_cutoff_history_is_read_and_nothing_later_is_trained_on(log):
    """One session over all the time, beside those of the log."""
    lines = [f"long\ti{n % 25}\t{1_500_000_000 + 2000 * n}\tclick\t0.2" for n in range(60)]
    log.write_text(log.read_text() + "\n".join(lines) + "\n")
    cuts = [1_500_060_000, 1_500_090_000]
    train, valid, test = parts(split="cutoff", split_at=cuts)
    times = train.sessions.timestamps
    assert times[train.trained_places].max() < cuts[0]
    assert cuts[0] <= times[valid.places].min() and times[valid.places].max() < cuts[1]
    assert times[test.places].min() >= cuts[1]
    for part in (valid, test):
        batch = part.batch(part.windows)
        place, read = batch.place[batch.counts].numpy(), batch.item_seq
        assert (np.sort(place) == part.places).all()
        long = np.flatnonzero(part.windows.session == part.windows.session[-1])
        assert (read[long] > 0).all()  # as many inputs as the encoder reads, of before the cut
