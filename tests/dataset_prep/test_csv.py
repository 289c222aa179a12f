"""Any log: separators, quotes, times, rewards, events, Parquet."""

from datetime import datetime, timezone
from pathlib import Path

import polars as pl
import pytest

from dataset_prep import csv as any_log
from dataset_prep import order
from dataset_prep.csv import Columns, Format, Kept, Rewards
from dataset_prep.sources import InputError
from tests.support.converters import ConverterSuite

COLUMNS = Columns("user", "product", "when", "action")
REWARDS = Rewards({"look": 0.25, "cart": 0.5, "order": 2.0})
LOG = """\
when,action,product,price,user
1600000003,look,B,1.0,ann
1600000001,look,A,,ann
1600000001,order,A,,bob
1600000003,order,A,2.5,ann
"""
EXPECTED = [
    ("ann", "A", 1600000001.0, "look", 0.25),
    ("ann", "B", 1600000003.0, "look", 0.25),
    ("ann", "A", 1600000003.0, "order", 2.0),
    ("bob", "A", 1600000001.0, "order", 2.0),
]


def rows(folder: Path) -> list[tuple[str, str, float, str, float]]:
    lines = (folder / f"{folder.name}.inter").read_text().splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    return [(s, i, float(t), e, float(r)) for s, i, t, e, r in cells]


class TestAnyLog(ConverterSuite):
    files = {"log.csv": LOG}
    rows = EXPECTED
    bad = ("log.csv", "soon,look,B,1.0,ann", "the time is neither")

    def convert(self, paths, output, **options):
        return any_log.convert(paths, output, COLUMNS, REWARDS, **options)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def test_rows_worked_by_hand(log: Path, tmp_path: Path) -> None:
    summary = any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    assert rows(tmp_path / "shop") == EXPECTED
    assert vars(summary.kept) == {"sequences": 2, "items": 2, "clicks": 2, "purchases": 2}
    assert summary.purchase_events == ["order"]
    assert summary.click_events == ["cart", "look"]
    properties = (tmp_path / "shop" / "shop.yaml").read_text().splitlines()
    assert properties[1:] == [
        "USER_ID_FIELD: session_id",
        "ITEM_ID_FIELD: item_id",
        "TIME_FIELD: timestamp",
        "load_col:",
        "  inter: [session_id, item_id, timestamp, event, reward]",
        "reward_field: reward",
        "event_field: event",
        'purchase_events: ["order"]',
        'click_events: ["cart", "look"]',
    ]


@pytest.mark.parametrize("separator", ["\t", ";", "|", "^"])
def test_separators(log: Path, tmp_path: Path, separator: str) -> None:
    log.write_text(LOG.replace(",", separator))
    given = separator if separator == "^" else None
    any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS, Format(separator=given))
    assert rows(tmp_path / "shop") == EXPECTED


def test_quoted_fields_may_hold_the_separator(log: Path, tmp_path: Path) -> None:
    log.write_text(
        'user,product,note,"when",action\n'
        'ann,"A, large","says ""yes"", twice",1600000001,look\n'
        '"bob",B,"",1600000002,"order"\n'
    )
    any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    assert [row[:2] for row in rows(tmp_path / "shop")] == [("ann", "A, large"), ("bob", "B")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1600000000", 1600000000.0),
        ("1600000000123", 1600000000.123),
        ("1600000000.5", 1600000000.5),
        ("2020-09-13T12:26:40Z", 1600000000.0),
        ("2020-09-13T12:26:40.123Z", 1600000000.123),
        ("2020-09-13 12:26:40", 1600000000.0),
        ("2020-09-13 12:26:40 UTC", 1600000000.0),
        ("2020-09-13T14:26:40+02:00", 1600000000.0),
        ("2020-09-13 12:26", 1599999960.0),
        ("2020-09-13", 1599955200.0),
    ],
)
def test_times(log: Path, tmp_path: Path, text: str, expected: float) -> None:
    log.write_text(f"user,product,when,action\nann,A,{text},look\n")
    any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    assert rows(tmp_path / "shop")[0][2] == expected


def test_times_are_the_nearest_float(log: Path, tmp_path: Path) -> None:
    """The last digit counts: 1396868086998 * 0.001 is 1396868086.9980001."""
    ticks = [1396868086998 + 7919 * n for n in range(2000)]
    lines = "".join(f"ann,A,{tick},look\n" for tick in ticks)
    log.write_text("user,product,when,action\n" + lines)
    any_log.convert(log, tmp_path / "number", COLUMNS, REWARDS)
    assert [row[2] for row in rows(tmp_path / "number")] == [tick / 1000 for tick in ticks]
    times = pl.DataFrame({"when": pl.Series(ticks).cast(pl.Datetime("ms", "UTC"))})
    others = pl.lit("ann").alias("user"), pl.lit("A").alias("product")
    times.with_columns(*others, action=pl.lit("look")).write_parquet(tmp_path / "log.parquet")
    any_log.convert(tmp_path / "log.parquet", tmp_path / "typed", COLUMNS, REWARDS)
    assert rows(tmp_path / "typed") == rows(tmp_path / "number")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("ann,A,1600000000", "another number of fields"),
        ("ann,A,1600000000,look,more", "another number of fields"),
        ('ann,A,"1600000000,look', "a quote that neither opens nor closes"),
        (",A,1600000000,look", "the session is missing"),
        ("ann,NA,1600000000,look", "the item is missing"),  # RecBole would read a missing value
        ("ann,A\tB,1600000000,look", "a tab, line end or other control character"),
        ("ann,A\0,1600000000,look", "a tab, line end or other control character"),
        ("ann,[PAD],1600000000,look", "the name [PAD], which RecBole keeps"),
        ("ann,2e+17,1600000000,look", "a name such as 2e+17, a number that lost"),
        ('ann,A "1",1600000000,look', "a quote that neither opens nor closes"),
        ("ann,A,soon,look", "the time is neither"),
        ("ann,A,nan,look", "the time is neither"),
        ("ann,A,1600000000000000,look", "the time is neither"),
        ("ann,A,0,look", "the time is neither ISO 8601 nor Unix seconds from 1990 to 2100"),
        ("ann,A,1889-12-31,look", "the time is neither"),
        ("ann,A,1600000000,wish", "the event has no --reward"),
    ],
)
def test_bad_rows(log: Path, tmp_path: Path, row: str, reason: str) -> None:
    good = "user,product,when,action\nann,A,1600000000,look\n"
    log.write_text(f"{good}{row}\nbob,B,1600000000,order\n")
    with pytest.raises(InputError) as caught:
        any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    message = str(caught.value)
    assert f"line 3: {reason}" in message
    assert repr(row) in message
    summary = any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS, on_error="skip")
    assert list(summary.bad_rows.values()) == [1]
    assert [name for name in summary.bad_rows if name.startswith(reason)]
    assert len(rows(tmp_path / "shop")) == 2


def test_reward_column_and_purchases_asked_for(log: Path, tmp_path: Path) -> None:
    columns = Columns("user", "product", "when", "action", "price")
    log.write_text(LOG.replace("B,1.0,", "B,inf,"))
    with pytest.raises(InputError, match="line 2: the reward is not a finite number"):
        any_log.convert(log, tmp_path / "shop", columns, Rewards({}))
    log.write_text(LOG.replace(",,", ",0,"))
    summary = any_log.convert(log, tmp_path / "shop", columns, Rewards({}), purchases=["look"])
    assert [row[4] for row in rows(tmp_path / "shop")] == [0.0, 1.0, 2.5, 0.0]
    assert (summary.purchase_events, summary.click_events) == (["look"], ["order"])
    with pytest.raises(
        InputError, match="no event is named 'buy': pass --purchase with one of look"
    ):
        any_log.convert(log, tmp_path / "other", columns, Rewards({}), purchases=["buy"])


def test_without_events_all_are_clicks(log: Path, tmp_path: Path) -> None:
    columns = Columns("user", "product", "when")
    summary = any_log.convert(log, tmp_path / "shop", columns, Rewards({}))
    assert {row[3:] for row in rows(tmp_path / "shop")} == {("click", 1.0)}
    assert (vars(summary.kept)["clicks"], summary.purchase_events) == (4, [])


def test_default_reward_takes_in_other_events(log: Path, tmp_path: Path) -> None:
    any_log.convert(log, tmp_path / "shop", COLUMNS, Rewards({"order": 1.0}, 0.5))
    assert [row[4] for row in rows(tmp_path / "shop")] == [0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "rewards", "message"),
    [
        (COLUMNS, Rewards({}), "no event has a reward"),
        (Columns("user", "product", "when"), REWARDS, "pass --event COLUMN"),
        (Columns("user", "product", "when", "action", "price"), REWARDS, "given twice"),
        (Columns("user", "user", "when", "action"), REWARDS, "name one column twice: user, user"),
        (Columns("user", "sku", "when", "action"), REWARDS, "no column 'sku' but these: 'when', "),
    ],
)
def test_settings_that_make_no_sense(
    log: Path, tmp_path: Path, columns: Columns, rewards: Rewards, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        any_log.convert(log, tmp_path / "shop", columns, rewards)


def test_filters_are_one_pass_each(log: Path, tmp_path: Path) -> None:
    summary = any_log.convert(
        log,
        tmp_path / "shop",
        COLUMNS,
        REWARDS,
        kept=Kept(min_interactions=2, min_item_interactions=2),
    )
    assert [row[:2] for row in rows(tmp_path / "shop")] == [("ann", "A"), ("ann", "A")]
    assert summary.dropped == {"events_of_short_sessions": 1, "events_of_rare_items": 1}


@pytest.mark.parametrize("kind", ["seconds", "milliseconds", "datetime", "text"])
def test_parquet(tmp_path: Path, kind: str) -> None:
    seconds = [1600000003, 1600000001, 1600000001, 1600000003]
    times = {
        "seconds": seconds,
        "milliseconds": [1000 * time for time in seconds],
        "datetime": [datetime.fromtimestamp(time, timezone.utc) for time in seconds],
        "text": [datetime.fromtimestamp(t, timezone.utc).isoformat() for t in seconds],
    }
    table = {
        "when": times[kind],
        "row": [1, 2, 3, 4],  # a name of our own, which must not be in the way
        "action": ["look", "look", "order", "order"],
        "product": ["B", "A", "A", "A"],
        "user": ["ann", "ann", "bob", "ann"],
    }
    path = tmp_path / "log.parquet"
    pl.DataFrame(table).write_parquet(path)
    any_log.convert(path, tmp_path / "shop", COLUMNS, REWARDS)
    assert rows(tmp_path / "shop") == EXPECTED
    pl.DataFrame({**table, "user": ["ann", None, "bob", "ann"]}).write_parquet(path)
    with pytest.raises(InputError, match=r"row 2: the session is missing: '.*,2,look,A,'"):
        any_log.convert(path, tmp_path / "other", COLUMNS, REWARDS)


@pytest.mark.parametrize("option", ["order", "=1", "order=", "order=much", "order=nan"])
def test_reward_options(option: str) -> None:
    assert any_log.rewards_from(["a=b=1", "c=-0.5"]) == {"a=b": 1.0, "c": -0.5}
    with pytest.raises(InputError, match="not NAME=VALUE"):
        any_log.rewards_from([option])
    with pytest.raises(InputError, match="twice"):
        any_log.rewards_from(["c=1", "c=2"])


def test_several_files_are_one_log(tmp_path: Path) -> None:
    """In the order given, which decides between equal times; each with its own columns' order."""
    (tmp_path / "a.csv").write_text("user,product,when,action\nann,A,1600000000,look\n")
    (tmp_path / "b.csv").write_text("when;user;product;action\n1600000000;ann;B;order\n")
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    summary = any_log.convert([b, a], tmp_path / "shop", COLUMNS, REWARDS)
    assert [row[1] for row in rows(tmp_path / "shop")] == ["B", "A"]
    assert [source.name for source in summary.inputs] == ["b.csv", "a.csv"]
    assert summary.tied_events == 2
    with pytest.raises(InputError, match=r"a\.csv twice"):
        any_log.convert([a, b, tmp_path / "." / "a.csv"], tmp_path / "other", COLUMNS, REWARDS)
    a.write_text("user,product,when,action\nann,A,soon,look\n")
    with pytest.raises(InputError, match=r"a\.csv, line 2: the time"):
        any_log.convert([b, a], tmp_path / "other", COLUMNS, REWARDS)


def test_rows_that_repeat_another(log: Path, tmp_path: Path) -> None:
    again = LOG + "1600000003,look,B,1.0,ann\n1600000003,look,B,2.0,ann\n1600000003,order,B,,ann\n"
    log.write_text(again)
    summary = any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    assert (summary.repeated_rows, summary.tied_events) == (2, 5)
    assert len(rows(tmp_path / "shop")) == 7
    kept = Kept(drop_repeats=True)
    summary = any_log.convert(log, tmp_path / "once", COLUMNS, REWARDS, kept=kept)
    assert summary.dropped["rows_that_repeat_another"] == 2
    assert (summary.repeated_rows, vars(summary.raw)["clicks"], vars(summary.kept)["clicks"]) == (
        0,
        4,
        2,
    )
    assert len(rows(tmp_path / "once")) == 5


def test_sessions_by_inactivity(log: Path, tmp_path: Path) -> None:
    """A gap of just 30 minutes goes on; a user's name may look like a part's."""
    times = {"ann": [1800, 0, 3601, 9000], "ann~1": [0, 9000]}
    lines = [f"{user},A,{1600000000 + time},look\n" for user in times for time in times[user]]
    log.write_text("user,product,when,action\n" + "".join(lines))
    kept = Kept(session_gap=order.gap_from("30m"), min_interactions=2)
    summary = any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS, kept=kept)
    found = [(session, time - 1600000000) for session, _, time, *_ in rows(tmp_path / "shop")]
    assert found == [("ann~1", 0), ("ann~1", 1800)]
    assert (summary.raw.sequences, summary.kept.sequences) == (5, 1)
    assert summary.settings["session_gap"] == 1800
    for bad in ("30", "m", "-1m", "0s", "1w"):
        with pytest.raises(InputError, match="is not a time such as 30m"):
            order.gap_from(bad)


def test_a_third_kind_of_event_is_no_click_by_itself(log: Path, tmp_path: Path) -> None:
    log.write_text(LOG + "1600000004,cart,A,,ann\n")
    with pytest.raises(InputError, match=r"besides order .* cart, look: say by --click NAME"):
        any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    summary = any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS, clicks=["look"])
    assert (summary.purchase_events, summary.click_events) == (["order"], ["look"])
    assert (vars(summary.kept)["clicks"], vars(summary.kept)["purchases"]) == (2, 2)
    assert "neither purchase nor click: cart (1)" in summary.notes
    assert len(rows(tmp_path / "shop")) == 5
    summary = any_log.convert(log, tmp_path / "all", COLUMNS, REWARDS, clicks=["cart", "look"])
    assert vars(summary.kept)["clicks"] == 3
    with pytest.raises(InputError, match="'look' is both --purchase and --click"):
        any_log.convert(log, tmp_path / "x", COLUMNS, REWARDS, purchases=["look"], clicks=["look"])


@pytest.mark.parametrize("reward", ["1e39", "-1e39", "nan"])
def test_rewards_fit_a_float32(log: Path, tmp_path: Path, reward: str) -> None:
    with pytest.raises(InputError, match="finite number"):
        Rewards({"look": float(reward)})
    log.write_text(LOG.replace(",1.0,", f",{reward},"))
    columns = Columns("user", "product", "when", "action", "price")
    with pytest.raises(InputError, match="line 2: the reward is not a finite number"):
        any_log.convert(log, tmp_path / "shop", columns, Rewards({}))


SHOWN = Columns("user", "product", "when", "action", propensity="chance")
SHOWN_LOG = """\
when,action,product,chance,user
1600000003,seen,B,0.5,ann
1600000001,seen,A,1,ann
1600000001,tap,A,1e-9,bob
1600000003,order,A,0.125,ann
"""


class TestAnyLogWithPropensities(ConverterSuite):
    files = {"log.csv": SHOWN_LOG}
    rows = [
        ("ann", "A", 1600000001.0, 1.0, "seen", 0.0),
        ("ann", "B", 1600000003.0, 0.5, "seen", 0.0),
        ("ann", "A", 1600000003.0, 0.125, "order", 1.0),
        ("bob", "A", 1600000001.0, 1e-9, "tap", 0.2),
    ]
    bad = ("log.csv", "1600000004,seen,B,0,ann", "the propensity is not a number above 0 and at")

    def convert(self, paths, output, **options):
        rewards = Rewards({"seen": 0.0, "tap": 0.2, "order": 1.0})
        return any_log.convert(paths, output, SHOWN, rewards, **options)


@pytest.mark.parametrize("cell", ["0", "-1", "1.001", "nan", "inf", "", "often", "1e-60"])
def test_what_is_no_propensity_is_refused_by_its_line(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(SHOWN_LOG + f"1600000004,seen,B,{cell},ann\n")
    rewards = Rewards({}, 1.0)
    with pytest.raises(InputError) as told:
        any_log.convert(path, tmp_path / "data", SHOWN, rewards)
    assert str(told.value).startswith(f"{path}, line 6: the propensity is not a number above 0")


def test_propensities_of_parquet(tmp_path: Path) -> None:
    frame = pl.read_csv(SHOWN_LOG.encode()).with_columns(chance=pl.Series([1.0, 1.0, 0.5, 1.0]))
    frame.write_parquet(tmp_path / "log.parquet")
    any_log.convert(tmp_path / "log.parquet", tmp_path / "data", SHOWN, Rewards({}, 1.0))
    lines = (tmp_path / "data" / "data.inter").read_text().splitlines()[1:]
    assert sorted(float(line.split("\t")[3]) for line in lines) == [0.5, 1, 1, 1]


@pytest.mark.parametrize("by_column", [False, True])
def test_kinds_without_reward_are_neither_purchases_nor_clicks(tmp_path, by_column):
    """Shown and not taken: also where they are one of two kinds, and would be the clicks."""
    path = tmp_path / "log.csv"
    path.write_text(SHOWN_LOG.replace("tap", "order"))
    columns, rewards = SHOWN, Rewards({"seen": 0.0, "order": 1.0})
    if by_column:
        frame = pl.read_csv(path).with_columns(pay=(pl.col("action") == "order").cast(pl.Float64))
        frame.write_csv(path)
        columns = Columns("user", "product", "when", "action", "pay")
        rewards = Rewards({})
    summary = any_log.convert(path, tmp_path / "data", columns, rewards)
    assert (summary.purchase_events, summary.click_events) == (["order"], [])
    counted = vars(summary.kept)
    assert counted["clicks"] == 0 and counted["purchases"] == 2
    assert "neither purchase nor click: seen (2), shown and not taken" in "\n".join(summary.notes)
    clicks = any_log.convert(path, tmp_path / "taps", columns, rewards, clicks=["order"])
    assert (clicks.purchase_events, clicks.click_events) == ([], ["order"])
    asked = any_log.convert(path, tmp_path / "asked", columns, rewards, clicks=["seen"])
    assert (asked.purchase_events, asked.click_events) == (["order"], ["seen"])


def test_a_kind_without_reward_that_no_event_is_of_is_no_click(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(SHOWN_LOG.replace("seen", "tap"))
    rewards = Rewards({"seen": 0.0, "tap": 0.2, "order": 1.0})
    summary = any_log.convert(path, tmp_path / "data", SHOWN, rewards)
    assert (summary.purchase_events, summary.click_events) == (["order"], ["tap"])
    assert "seen" not in "\n".join(summary.notes)
