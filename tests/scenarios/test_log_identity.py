"""Whatever a log holds comes out as it went in: from the file over the store to events.parquet."""

from __future__ import annotations

import csv
import io
import logging
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from recbole_lpi.data.tokens import PADDING
from recbole_lpi.evaluation.event_ranking import EvaluationPass, by_rows, rank_events
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config
from recbole_lpi.settings import SettingError
from tests.support.logs import SMALL

NAMES = ("user_id:token", "item_id:token", "timestamp:float", "event:token", "reward:float")
Row = tuple[str, str, float, str, float]

NAME = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0\t\n\r"), max_size=6
) | st.sampled_from(
    ["", '"', '""', '5" pipe', " a", "a ", "a", "007", "7", "12.0", "NA", "null", "é"]
)
NAME = NAME.filter(lambda name: name != PADDING)
ROW = st.tuples(
    NAME | st.sampled_from("uv"),
    NAME,
    st.integers(0, 5) | st.floats(0, 9),
    st.sampled_from(["view", "buy", ' "x"']),
    st.floats(-1e30, 1e30),
)


class Lines(logging.Handler):
    """What is logged, to be looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of the data set ``shop``, every event of whose log is to be predicted."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "shop").mkdir()
    given = {"data_path": str(folder), "session_cache_dir": "none", "evaluate_first_event": True}
    return make_config("LPIRL", "shop", (), {**SMALL, **given})


@pytest.fixture(scope="module")
def told() -> Iterator[Lines]:
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def log_of(config: Any) -> Path:
    return Path(config["data_path"]) / "shop.inter"


def text_of(rows: list[Row]) -> str:
    """As pandas writes it: names with a quote in quotes."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([NAMES, *rows])
    return text.getvalue()


def events_written(data: PolicyDataset, folder: Path) -> list[tuple[Any, ...]]:
    """Session, item, kind, reward and place of every event, from events.parquet."""
    items = data.item_num - 1
    ranker = by_rows(lambda rows: torch.zeros(len(rows), items), data)
    table = rank_events(ranker, data, EvaluationPass(8, torch.device("cpu")))
    tokens = data.field2id_token
    sessions = tokens[data.uid_field][data.user_of_session]
    table.write(folder / "events.parquet", sessions, tokens[data.iid_field])
    frame = pl.read_parquet(folder / "events.parquet")
    return frame.select("session_id", "item_id", "event", "reward", "position").rows()


@settings(
    max_examples=60, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(rows=st.lists(ROW, min_size=1, max_size=12), start=st.sampled_from([0, 1.6e9, 1.6e12]))
@example(rows=[("u", "x" * 100_000, 1, "view", 1.0), ("u", "i5", 1, "buy", 0.1)], start=0)
def test_every_event_comes_out_as_it_went_in(config, told, rows, start):
    """In the order of its time within its session, ties as in the file; or it is told of."""
    rows = [(u, i, start + time, event, reward) for u, i, time, event, reward in rows]
    log_of(config).write_text(text_of(rows), encoding="utf-8", newline="")
    named = [row for row in rows if row[0] and row[1]]
    told.lines.clear()
    if not named:
        with pytest.raises(SettingError, match="no event is left after the filters"):
            PolicyDataset(config)
        return
    data = PolicyDataset(config)
    if len(named) < len(rows):
        left_out = [int(line.split(" of ")[0]) for line in told.lines if "are left out" in line]
        assert sum(left_out) == len(rows) - len(named)
    sessions: dict[str, list[Row]] = {}
    for row in named:
        sessions.setdefault(row[0], []).append(row)
    expected = [
        (user, item, event, float(np.float32(reward)), place)
        for user, own in sessions.items()
        for place, (_, item, _, event, reward) in enumerate(sorted(own, key=lambda row: row[2]))
    ]
    assert events_written(data, log_of(config).parent) == expected
    assert data.sessions.timestamps.tolist() == [
        row[2] for own in sessions.values() for row in sorted(own, key=lambda row: row[2])
    ]


# ------------------------------------------------------------------ files that were damaged

BITS = [
    b"\0", b"\r", b"\n", b"\n\n", b"\t", b'"', b'""', b'"a"', b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    b"[PAD]", b"1e39", b"nan", b"inf", b"-", b"e", b" ", b",", b":token", b":float", b"\r\n",
    b"1e400", b"\x1f\x8b", b"PK\x03\x04", b"1600000000000", b"9" * 400,
]  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to three changes of bytes, fields, lines or columns."""
    for _ in range(rng.randint(1, 3)):
        place, lines = rng.randrange(len(content) + 1), content.split(b"\n")
        line = rng.randrange(len(lines))
        fields = lines[line].split(b"\t")
        what = rng.randrange(9)
        if what == 0:
            content = content[:place] + rng.choice(BITS) + content[place:]
        elif what == 1:
            content = content[:place] + content[place + rng.randint(1, 4) :]
        elif what == 2:
            content = content[: max(1, place)]
        elif what == 3:
            fields[rng.randrange(len(fields))] = rng.choice([b"", *BITS])
            lines[line] = b"\t".join(fields)
        elif what == 4:
            rng.shuffle(fields)
            lines[line] = b"\t".join(fields)
        elif what == 5:
            lines.insert(line, rng.choice(lines))
        elif what == 6:
            del lines[line]
        elif what == 7:
            lines[0] = lines[0].replace(b"token", b"float", rng.randint(0, 1))
        else:
            lines = [rng.choice([b"\r", b"", b" "]).join([own, b""]) for own in lines]
        if what > 2:
            content = b"\n".join(lines)
    return content


def as_pandas_reads(content: bytes) -> Counter[tuple[str, ...]]:
    """Rows with a session and an item, as RecBole's reader has them, but "NA" is a name."""
    text = content.decode("utf-8-sig")
    frame = pd.read_csv(
        io.StringIO(text, newline=""), sep="\t", dtype=str, keep_default_na=False, engine="python"
    )
    named = frame[(frame["user_id:token"] != "") & (frame["item_id:token"] != "")]
    numbers = ((float(time), float(np.float32(reward))) for time, reward in zip(
        named["timestamp:float"], named["reward:float"], strict=True))  # fmt: skip
    tokens = zip(*(named[f"{name}:token"] for name in ("user_id", "item_id", "event")), strict=True)
    return Counter((*own, *two) for own, two in zip(tokens, numbers, strict=True))


def test_a_damaged_log_is_read_as_pandas_reads_it_or_refused_in_a_line(config):
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (f"u{n // 4}", f"i{rng.integers(5)}", 1_600_000_000 + n, "view", float(rng.integers(3)))
        for n in range(40)
    ]
    content = text_of(rows).encode()
    read, refused = 0, Counter[str]()
    for seed in range(400):
        damaged = mutated(content, random.Random(seed))
        log_of(config).write_bytes(damaged)
        try:
            data = PolicyDataset(config)
        except SettingError as error:
            assert "\n" not in str(error) and "shop" in str(error), (seed, error)
            refused[" ".join(str(error).split()[2:6])] += 1
            continue
        s = data.sessions
        found = Counter(zip(
            data.field2id_token["user_id"][np.repeat(data.user_of_session, s.lengths)],
            data.field2id_token["item_id"][s.items],
            np.array(s.event_names, dtype=object)[s.events],
            s.timestamps.tolist(), s.rewards.tolist(), strict=True,
        ))  # fmt: skip
        assert found == as_pandas_reads(damaged), seed
        read += 1
    assert read > 50 and sum(refused.values()) > 150 and len(refused) > 20
