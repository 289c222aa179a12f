"""What the benchmark of evaluation times: two evaluations of the same events."""

from benchmarks import evaluation_cost


def test_both_sides_evaluate_the_same_events(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    evaluation_cost.write_log(tmp_path / "twice", items=300, rounds=2)
    sides = {side: evaluation_cost.evaluation(side, "twice", 64) for side in evaluation_cost.SIDES}
    # A tenth of 100 sessions of six events, of which the first has no history.
    assert {events for events, _ in sides.values()} == {50}
    for side, (_, evaluate) in sides.items():
        found = evaluate()
        assert 0 <= found["ndcg@10"] <= found["hit@10"] <= 1, side


def test_a_product_takes_time():
    few, many = (evaluation_cost.product_rate(items) for items in (500, 50_000))
    assert 0 < many < few
