"""Imputation models: fitted, found again, gone on with, refused; and iAR@k of a run."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

import recbole_lpi  # noqa: F401  (registers the policies)
from recbole_lpi.cli.run_report import show
from recbole_lpi.evaluation.imputation import fitting
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from tests.support.logs import SMALL, write_log

ITEMS = 20
GIVEN = {
    **SMALL, "epochs": 1, "topk": [3], "metrics": ["average_reward", "imputed_average_reward"],
    "valid_metric": "average_reward@1", "logging_policy": "none", "USER_ID_FIELD": "session_id",
    "imputation": {"rank": [2, 3], "regularization": 0.1, "missing_weight": 0.1, "float64": True},
}  # fmt: skip


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ratings of 60 users, higher for items of their own half."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = ["session_id:token\titem_id:token\ttimestamp:float\trating:float"]
    for user in range(60):
        for time, item in enumerate(rng.permutation(ITEMS)[: rng.integers(4, 12)]):
            likes = item < ITEMS / 2 if user % 2 else item >= ITEMS / 2
            lines.append(f"u{user}\ti{item}\t{time}\t{rng.integers(4, 6) if likes else 2}")
    path = tmp_path / "dataset" / "films" / "films.inter"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def go(model: str = "LoggingPolicy", folder: str = "runs/one", **given: object):
    return run(model, "films", (), {**GIVEN, "run_dir": folder, **given})


def models() -> list[Path]:
    return sorted(Path("runs/imputation").glob("*/model.pth"))


def test_imputed_reward_of_a_run_is_that_of_a_direct_solution(films):
    """Every choice of one test session, its factors from the dense weighted problem."""
    done = go()
    assert done.results["test"]["imputed_average_reward@3"].count > 0
    state = torch.load(models()[0], weights_only=True)
    q, s = state["items"].numpy(), state["settings"]
    events = pl.read_parquet(done.folder.events)
    assert done.results["test"]["imputed_average_reward@1"].mean == pytest.approx(
        float(events["imputed_reward"].to_numpy()[:, 0].mean())
    )
    one = events.filter(pl.col("session_id") == events["session_id"][0])
    log = pl.read_csv(films, separator="\t").filter(
        pl.col("session_id:token") == one["session_id"][0]
    )
    tokens = catalogue(done.config)
    weight, target = np.full(len(q), 0.1), np.zeros(len(q))
    for token, rating in log.select("item_id:token", "rating:float").iter_rows():
        weight[tokens.index(token)], target[tokens.index(token)] = 1.0, rating - 2.0
    left = (q * weight[:, None]).T @ q
    left += s["regularization"][0] * weight.sum() * np.eye(q.shape[1])
    predicted = 2 + q @ np.linalg.solve(left, q.T @ (weight * target))
    rewards = np.interp(predicted, [2, 4, 5], [0, 1, 1])
    greedy = [tokens.index(token) for token in one["greedy_item"]]
    np.testing.assert_allclose(one["imputed_reward"].to_numpy()[:, 0], rewards[greedy], rtol=1e-5)


def test_a_run_without_rankings_ends_without_an_empty_table(films):
    file = io.StringIO()
    show(go(), Console(file=file, width=100))
    text = file.getvalue()
    assert text.startswith("LoggingPolicy on films: test part\nAR@1, the reward collected")


def catalogue(config) -> list[str]:
    from recbole_lpi.plugin.dataset import PolicyDataset

    return list(PolicyDataset(config).field2id_token["item_id"][1:])


def test_a_model_is_fitted_once_and_named_in_the_run(films, caplog):
    go()
    (model,) = models()
    written = model.stat().st_mtime_ns
    go("GRU4Rec", "runs/other", embedding_size=8, hidden_size=8)  # of RecBole, and the same model
    assert models() == [model] and model.stat().st_mtime_ns == written
    for folder in ("runs/one", "runs/other"):
        found = json.loads(Path(folder, "metrics.json").read_text())
        assert found["imputation"]["model"] == model.parent.name
        assert found["test"]["imputed_average_reward@1"]["count"] > 0
    errors = [line for line in caplog.text.splitlines() if "held-out RMSE" in line]
    assert len(errors) == 2  # rank 2 and rank 3, once
    best = min(float(line.split("RMSE ")[1].split(",")[0]) for line in errors)
    assert found["imputation"]["rmse"] == pytest.approx(best, abs=1e-4)
    assert json.loads((model.parent / "report.json").read_text()) == found["imputation"]
    go(folder="runs/third", imputation={**GIVEN["imputation"], "rank": 2})
    assert len(models()) == 2


def test_a_fit_that_broke_off_goes_on_to_the_same_factors(films, monkeypatch):
    go()
    whole = torch.load(models()[0], weights_only=True)["items"]
    models()[0].unlink()
    sweeps: Any = vars(fitting)["write_tensors"]
    written: list[int] = []

    def break_off(path, state):
        sweeps(path, state)
        written.append(state["sweeps"])
        if len(written) == 13:  # in the second candidate
            raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "write_tensors", break_off)
    with pytest.raises(KeyboardInterrupt):
        go(folder="runs/two")
    monkeypatch.setattr(fitting, "write_tensors", sweeps)
    again = []
    monkeypatch.setattr(
        fitting, "sweeps", lambda *given: (again.append(1) or one for one in real(*given))
    )
    go(folder="runs/two", overwrite=True)
    assert torch.equal(torch.load(models()[0], weights_only=True)["items"], whole)
    assert len(again) == 20 - 13
    assert not list(models()[0].parent.glob("candidate-*"))


real: Any = vars(fitting)["sweeps"]


def test_what_cannot_be_imputed_is_refused_before_any_work(films, tmp_path):
    with pytest.raises(SettingError, match=r"missing_rating must lie among the ratings, 2 to 5"):
        go(imputation={"missing_rating": 1.5})
    with pytest.raises(SettingError, match=r"no imputation model at nowhere"):
        go(imputation_model="nowhere")
    torch.save({"format": "other"}, "other.pth")
    with pytest.raises(SettingError, match=r"other.pth is not an imputation model"):
        go(imputation_model="other.pth")
    go()
    model = models()[0]
    with pytest.raises(SettingError, match=r"of another catalogue: it imputes rewards of 20 items"):
        go(folder="runs/two", imputation_model=str(model), item_inter_num_interval="[23,inf)")
    assert not Path("runs/two").exists()
    write_log(tmp_path / "dataset")
    with pytest.raises(SettingError, match=r"shop has no column 'rating' \(RATING_FIELD\)"):
        run("LoggingPolicy", "shop", (), {**GIVEN, "run_dir": "runs/three"})
    with pytest.raises(SettingError, match=r"shop has no column 'rating' \(RATING_FIELD\)"):
        run("LoggingPolicy", "shop", (), {
            **GIVEN, "run_dir": "runs/three", "imputation_model": str(model),
        })  # fmt: skip
    films.write_text(films.read_text() + "u1\ti1\t99\tnan\n")
    with pytest.raises(SettingError, match=r"rating is nan"):
        go(folder="runs/four")


def test_a_model_that_is_named_predicts_ratings_and_says_if_it_saw_others(films, caplog):
    done = go()
    model = models()[0].parent
    same = go(folder="runs/two", imputation_model=str(model))
    assert same.results["test"] == done.results["test"]
    assert "it may have seen what this run is tested on" not in caplog.text
    worth = {0: 0, 5: 0.5}  # a rating of 5 is worth half of what it was, one of 4 nothing
    less = go(folder="runs/three", imputation_model=str(model), rating_to_reward=worth)
    name = "imputed_average_reward@1"
    assert 0 < less.results["test"][name].mean <= same.results["test"][name].mean / 2
    assert "it may have seen what this run is tested on" in caplog.text


FORMS = {
    "not finite": (lambda s: s["items"].fill_(float("inf")), "not finite"),
    "of other items": (lambda s: s.update(items=s["items"][1:]), "is of shape"),
    "with a report of tensors": (lambda s: s.update(report={"rmse": torch.ones(1)}), "Tensor"),
    "without a report": (lambda s: s.pop("report"), "no 'report'"),
    "of other settings": (lambda s: s.update(settings={"rnk": 5}), "unknown setting 'rnk'"),
    "a list": (lambda s: s.update(items=[1.0]), "'items' is of type list"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_model_that_is_none_is_refused_before_anything_is_trained(films, form):
    change, said = FORMS[form]
    go()
    state = torch.load(models()[0], weights_only=True)
    change(state)
    torch.save(state, "other.pth")
    with pytest.raises(SettingError, match=r"other\.pth") as error:
        go(folder="runs/two", imputation_model="other.pth")
    assert said in str(error.value) and not Path("runs/two").exists()


def test_a_fit_that_broke_off_and_is_damaged_is_refused(films, monkeypatch):
    def broken_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(fitting, "fit_report", broken_off)
        go()
    (partial, *_) = Path("runs/imputation").glob("*/candidate-*.pth")
    state = torch.load(partial, weights_only=True)
    for change, said in (
        ({"items": state["items"][1:]}, "is of shape"),
        ({"sweeps": 10**9}, "remove it"),
        ({"items": state["items"] * float("nan")}, "not finite"),
    ):
        torch.save({**state, **change}, partial)
        with pytest.raises(SettingError, match=rf"{partial.name}.*{said}"):
            run(config_dict={"resume": "runs/one"})
