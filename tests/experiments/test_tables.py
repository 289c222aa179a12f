"""What a reader sees: each format, and the command from end to end."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from rich.console import Console
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.experiments import figures, tables, terminal
from recbole_lpi.experiments.comparison import compare
from recbole_lpi.training.run_folder import RunFolder

METRICS = [f"{kind}_{m}@{k}" for kind in ("purchase", "click") for m in ("hit", "ndcg")
           for k in (5, 10)] + ["js_divergence"]  # fmt: skip


@pytest.fixture
def comparison(made):
    """LPIRL of two seeds hits 12 and 14 of 20 purchases, LoggingPolicy none; clicks alike."""
    made("a", [1, 1] * 12 + [1, 99] * 8, mu=-2.0, logging_policy="mu_1", odd_name="a_b%|c")
    made("b", [1, 1] * 14 + [1, 99] * 6, mu=-2.0, logging_policy="mu_1", odd_name="a_b%|c", seed=2)
    made("c", [1, 99] * 20, mu=-3.0, logging_policy="mu&2", odd_name="x")
    return compare(["a", "b", "c"], METRICS)


def test_headings():
    names = ["purchase_hit@5", "click_ndcg@20", "ndcg@10", "js_divergence", "average_reward@1"]
    assert [" ".join(tables.heading(name)) for name in names] == [
        "purchase HR@5", "click nDCG@20", "all nDCG@10", "divergence JS", "reward AR@1",
    ]  # fmt: skip


def test_markdown_is_read_as_it_is_meant(comparison):
    text = tables.markdown(comparison, METRICS)
    page = MarkdownIt("commonmark").enable("table").render(text)
    rows = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in page.split("<tr>")[1:]]
    assert rows[0][:3] == ["policy", "seeds", "purchase HR@5"] and rows[0][-1] == "divergence JS"
    assert rows[1][0] == "LPIRL (logging_policy=mu_1, odd_name=a_b%|c)" and rows[1][1] == "2"
    # Between 0.6 and 0.7 of 20 sessions .0025; over sessions (12 · .35² + 2 · .15² + 6 · .65²)
    # / 19 / 20, less 2 · (2 · .45² + 18 · .05²) / 2 / 19 / 20 that both hold.
    assert rows[1][2] == "<strong>0.6500 ± 0.1094</strong>***"
    assert rows[2][2] == "0.0000 ± 0.0000"
    assert rows[1][-1] == "0.2000 ± 0.0000" and rows[2][-1] == "0.3000 ± 0.0000"
    assert {len(row) for row in rows} == {2 + len(METRICS)}


def test_the_caption_says_what_plus_minus_is_and_over_what(comparison):
    said = " ".join(tables.caption(comparison, METRICS))
    assert "shop_1%, test part: 20 purchases and 20 clicks." in said
    assert "± is one standard error over sessions and seeds." in said
    assert (
        "differs from every other policy at * p < .05, ** p < .01, *** p < .001 (paired t" in said
    )
    one = (
        "Trained with one seed: LPIRL (logging_policy=mu&2, odd_name=x); errors and tests of these"
    )
    assert f"{one} say nothing of what another seed would do." in said
    assert "Divergences are from different logging policies: LPIRL (logging_policy=mu_1" in said
    assert "Divergence" not in " ".join(tables.caption(comparison, METRICS[:2]))


def test_the_caption_says_how_far_two_seeds_of_the_logging_policy_are_apart(made):
    for name, js in (("a", 0.04), ("b", 0.05), ("c", None)):
        folder = RunFolder(made(name, [1, 99], mu=-2.0, seed=ord(name)))
        floor = {"js_divergence": {"mean": js, "stderr": 0.01, "count": 2}}
        folder.write_metrics({**folder.read_metrics(), "noise_floor": floor if js else None})
    told = "Two seeds of the logging policy differ by JS {} ± 0.0100: nothing below that is a diff"
    for runs, said in ((["a"], "0.0400"), (["b", "a", "c"], "0.0500")):
        assert told.format(said) in " ".join(tables.caption(compare(runs, METRICS), METRICS))
    for runs, metrics in ((["c"], METRICS), (["a"], METRICS[:2])):
        assert "Two seeds" not in " ".join(tables.caption(compare(runs, metrics), metrics))


def test_the_caption_of_one_seed_and_of_several(made):
    made("a", [1, 1])
    made("b", [1, 1], seed=2)
    one, two = compare(["a"], METRICS), compare(["a", "b"], METRICS)
    assert "± is one standard error over sessions." in tables.caption(one, METRICS)
    assert "± is one standard error over sessions and seeds." in tables.caption(two, METRICS)
    assert any("one seed: LPIRL; errors" in line for line in tables.caption(one, METRICS))
    assert not any("one seed" in line for line in tables.caption(two, METRICS))
    assert not any("Bold" in line for line in tables.caption(one, METRICS))


def test_the_caption_names_what_counts_as_a_purchase(made):
    kinds = {"purchase_events": ["purchase", "liked"], "click_events": ["click", "rated"]}
    made("a", [1, 1, 1, 1], kinds=["rated", "liked", "liked", "click"], **kinds)
    said = tables.caption(compare(["a"], METRICS), METRICS)
    assert said[0] == "shop_1%, test part: 2 purchases (liked) and 2 clicks (click or rated)."


def test_latex_is_escaped_and_complete(comparison):
    text = tables.latex(comparison, METRICS)
    body = text.split("\n", 1)[1]  # the first line is a comment
    assert not re.search(r"(?<!\\)[%#]", body)
    assert r"LPIRL (logging\_policy=mu\_1, odd\_name=a\_b\%\textbar{}c) & 2 & " in body
    assert r"mu\&2" in body and "_1" not in body.replace(r"\_1", "")
    assert r"\textbf{0.6500}$^{***}$ {\scriptsize$\pm$0.1094}" in body
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    for row in rows[1:]:
        assert len(re.findall(r"(?<!\\)&", row)) == 1 + len(METRICS)
    assert r"\multicolumn{4}{c}{Purchase} & \multicolumn{4}{c}{Click}" in rows[0]
    assert r"\cmidrule(lr){3-6}\cmidrule(lr){7-10}\cmidrule(lr){11-11}" in body
    assert body.count("{") == body.count("}")


def test_csv_reads_back_in_full_precision(comparison):
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(comparison, METRICS))))
    assert len(rows) == 2 * len(METRICS)
    for row in rows:
        policy = next(p for p in comparison.policies if p.label == row["policy"])
        cell = policy.cells[row["metric"]]
        assert float(row["mean"]) == cell.mean and float(row["stderr"]) == cell.stderr
        assert row["spread"] == ("" if cell.spread is None else str(cell.spread))
        assert int(row["count"]) == cell.count and row["stars"] == cell.stars
        assert row["best"] == str(int(cell.best)) and (row["p"] != "") == cell.best


@pytest.mark.parametrize("width", [60, 80, 100, 160, 300])
def test_the_terminals_table_keeps_to_its_width_and_loses_nothing(comparison, width):
    file = io.StringIO()
    terminal.show(comparison, METRICS, Console(file=file, width=width))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width and "…" not in file.getvalue()
    assert len(re.findall(r"± ?0\.", file.getvalue())) == 2 * len(METRICS)
    assert len(re.findall(r"0\.6500( ± 0\.1094)?\*\*\*", file.getvalue())) == 4


def test_bold_is_the_best(comparison):
    file = io.StringIO()
    terminal.show(comparison, METRICS, Console(file=file, width=300, force_terminal=True))
    bold = re.findall(r"\x1b\[1m *([\d.]+ ± [\d.]+)", file.getvalue())
    assert bold == ["0.6500 ± 0.1094"] * 4 + ["1.0000 ± 0.0000"] * 8  # clicks are a tie


def test_a_terminal_of_80_columns_gets_two_tables_of_all_there_is(made):
    """Three cut-offs of each measure, and a divergence; each error below its mean."""
    metrics = [f"{kind}_{m}@{k}" for kind in ("purchase", "click") for m in ("hit", "ndcg")
               for k in (5, 10, 20)] + ["js_divergence"]  # fmt: skip
    made("a", [1, 1] * 14 + [1, 99] * 6, mu=-2.0)
    made("b", [1, 99] * 20, "LoggingPolicy")
    found = compare(["a", "b"], metrics)
    wide, narrow = io.StringIO(), io.StringIO()
    terminal.show(found, metrics, Console(file=wide, width=300))
    terminal.show(found, metrics, Console(file=narrow, width=80))
    assert [wide.getvalue().count("\npolicy "), narrow.getvalue().count("\npolicy ")] == [1, 2]
    numbers = re.compile(r"\d\.\d{4}")
    assert sorted(numbers.findall(narrow.getvalue())) == sorted(numbers.findall(wide.getvalue()))


def test_tables_break_between_purchases_and_clicks():
    widths = dict.fromkeys(METRICS, 10)
    families = [METRICS[:2], METRICS[2:4], METRICS[4:6], METRICS[6:8], METRICS[8:]]
    p_hit, p_ndcg, c_hit, c_ndcg, js = families
    split = lambda left: list(terminal.stacked(METRICS, widths, left))  # noqa: E731
    assert split(90) == [METRICS]
    assert split(89) == split(50) == [p_hit + p_ndcg, c_hit + c_ndcg + js]
    assert split(49) == [p_hit + p_ndcg, c_hit + c_ndcg, js]
    assert split(30) == [p_hit, p_ndcg, c_hit, c_ndcg + js]
    assert split(5) == [[metric] for metric in METRICS]


def test_the_command_from_end_to_end(made, tmp_path):
    made("a", [1, 1] * 5, beta=0.3)
    made("b", [1, 9] * 5, beta=1.0)
    call = lambda *words: CliRunner().invoke(app, ["compare", *words])  # noqa: E731
    done = call(
        "a", "b", "--format=csv", "--topk=5,20", "--figure=out/f.png", "--metrics=hit,MRR@3"
    )
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["metric"] for row in rows[:3]] == ["hit@5", "hit@20", "mrr@3"]
    assert (tmp_path / "out" / "f.png").stat().st_size > 5000
    done = call("a", "b", "--output=out/table.txt")
    assert done.exit_code == 0 and done.stdout == ""
    assert "LPIRL (beta=0.3)" in (tmp_path / "out" / "table.txt").read_text()
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["f.png", "table.txt"]
    assert re.search(r"1\.0000\s.*\n +±0\.0000", call("a", "b").stdout)


def test_runs_that_did_not_finish_are_left_out_and_named(made):
    made("a", [1, 1])
    (made("b", [1, 2]) / "metrics.json").unlink()
    done = CliRunner().invoke(app, ["compare", "a", "b"])
    assert done.exit_code == 0 and "LPIRL" in done.stdout
    assert done.stderr == "left out: b did not finish; go on with it by --resume=b\n"
    done = CliRunner().invoke(app, ["compare", "b"])
    assert done.exit_code == 2 and "error: b did not finish" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "error: nowhere is no run folder"),
        (["a", "--topk=5,x"], "--topk must be whole numbers > 0"),
        (["a", "--topk=0"], "--topk must be whole numbers > 0"),
        (["a", "--metrics=purchase_ndgc"], "did you mean 'purchase_ndcg'"),
        (["a", "--metrics=js_divergence@5"], "there is no metric 'js_divergence@5'"),
        (["a", "--figure=f.gif"], "--figure must end in one of .png, .svg, .pdf"),
    ],
)
def test_mistakes_are_told_in_a_line(made, words, said):
    made("a", [1, 1])
    done = CliRunner().invoke(app, ["compare", *words])
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1


def test_runs_of_others_write_no_command_into_a_table(made):
    """A terminal, a spreadsheet, LaTeX or a page would carry it out."""
    names = {"dataset": "[/b]\x1b[2J", "purchase_events": ["purchase", "\x1b]0;p\x07"]}
    made("a", [1, 2], "=cmd|' /C calc'!A0\x1b[2J", **names)
    made("b", [2, 1], "\\input{x}<img src=x>$x^$\x9b", odd="\n| [/red]", **names)
    comparison = compare(["a", "b"], ["hit@1"])
    shown = {name: tables.TEXTS[name](comparison, ["hit@1"]) for name in tables.TEXTS}
    file = io.StringIO()
    terminal.show(comparison, ["hit@1"], Console(file=file, width=200))
    shown["terminal"] = file.getvalue()
    for name, text in shown.items():
        assert text.replace("\n", "").isprintable(), name
        assert "x1b[2J" in text.replace("\\", "").replace("textbackslash{}", ""), name
    assert "\n'=cmd|" in shown["csv"] and "\n=" not in shown["csv"]
    assert "<img" not in shown["markdown"].replace("\\<", "")
    assert "\\input" not in shown["latex"]
    assert "[/b]" in shown["terminal"]
    points = compare(["a", "b"], figures.trade_off_metrics(1))
    figures.write(figures.trade_off(points, 1), Path("a.svg"))
