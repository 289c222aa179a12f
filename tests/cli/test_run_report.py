"""The table that a run ends with."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from recbole_lpi.cli.run_report import rankings, show
from recbole_lpi.evaluation.metrics import Estimate, Kinds
from recbole_lpi.plugin.runner import Run
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.verdicts import Verdicts

KINDS = Kinds(("liked",), ("click",))


def estimates(mean: float) -> dict[str, Estimate]:
    counts = {"": 10, "purchase_": 4, "click_": 6, "repeat_": 3, "new_": 7}
    return {
        f"{kind}ndcg@{k}": Estimate(mean + count / 100 + k / 1000, 0.01, count)
        for kind, count in counts.items()
        for k in (5, 20)
    }


def finished(tmp_path) -> Run:
    config: Any = {"model": "LPIRL", "dataset": "shop"}
    floors = {"last_item": estimates(0.1), "session_popularity": estimates(0.2)}
    told = ("it [bold]may[/bold] still be improving",)
    verdicts = Verdicts(floors=floors, warnings=list(told))
    return Run(config, RunFolder(tmp_path), {"test": estimates(0.5)}, KINDS, verdicts)


def shown(run: Run, width: int) -> list[str]:
    file = io.StringIO()
    show(run, Console(file=file, width=width))
    return file.getvalue().splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("┃│").split("┃" if "┃" in line else "│")]


def test_columns_by_kind_and_novelty_and_the_floors_below(tmp_path):
    lines = shown(finished(tmp_path), 160)
    assert cells(lines[2]) == [
        "", "purchase: liked (4)", "click (6)", "repeat (3)", "new (7)", "all (10)",
    ]  # fmt: skip
    rows = {cells(line)[0]: cells(line)[1:] for line in lines if line.startswith("│")}
    assert list(rows) == [
        "nDCG@5", "nDCG@20", "nDCG@20 of", "LPIRL", "last item", "session popularity",
    ]  # fmt: skip
    assert rows["LPIRL"] == rows["nDCG@20"]
    assert rows["last item"] == [
        f"{0.1 + count / 100 + 0.02:.4f} ± 0.0100" for count in (4, 6, 3, 7, 10)
    ]


def test_warnings_stand_at_the_end_as_they_are(tmp_path):
    lines = shown(finished(tmp_path), 160)
    assert lines[-2] == "Warning: it [bold]may[/bold] still be improving."


def test_in_eighty_columns_errors_stand_below_their_means(tmp_path):
    lines = shown(finished(tmp_path), 80)
    assert max(map(len, lines[:-1])) <= 80
    row = next(number for number, line in enumerate(lines) if "session popularity" in line)
    assert cells(lines[row])[1:] == ["0.2600", "0.2800", "0.2500", "0.2900", "0.3200"]
    assert cells(lines[row + 1])[1:] == ["±0.0100"] * 5


def test_a_run_without_repeats_or_floors_has_neither():
    found = {name: one for name, one in estimates(0.5).items() if not name.startswith("repeat")}
    found["repeat_ndcg@5"] = Estimate(float("nan"), float("nan"), 0)
    table = rankings("t", found, KINDS)
    assert [str(column.header) for column in table.columns] == [
        "", "purchase: liked (4)", "click (6)", "new (7)", "all (10)",
    ]  # fmt: skip
    assert table.row_count == 2
