"""What a wheel takes along: the main job and the converters run from it, outside the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl

from tests.support.logs import SMALL

ROOT = Path(__file__).parents[2]


def test_a_wheel_converts_a_log_and_trains_on_it(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    zipfile.ZipFile(built).extractall(site)
    rows = [
        f"{s},{(s + k) % 9},{1_600_000_000 + k},{'buy' if k == 3 else 'view'}"
        for s in range(60)
        for k in range(4)
    ]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,when,what", *rows]))

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "160"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(site) in python("-c", "import recbole_lpi; print(recbole_lpi.__file__)")
    python(
        "-m", "recbole_lpi", "prepare", "csv", "--input=log.csv", "--session=user", "--item=item",
        "--time=when", "--event=what", "--reward=view=0.2", "--reward=buy=1",
        "--output=dataset/mine",
    )  # fmt: skip
    settings = [f"--{name}={value}" for name, value in SMALL.items()]
    said = python("-m", "recbole_lpi", "run", "--model=LPIRL", "--dataset=mine",
                  "--data_path=dataset", "--run_dir=runs/a", *settings)  # fmt: skip
    assert "purchase: buy" in said and "click: view" in said and "(12)" in said
    metrics = json.loads((tmp_path / "runs" / "a" / "metrics.json").read_text())
    assert metrics["test"]["purchase_ndcg@10"]["count"] == 6  # a tenth of the sessions
    # The checkpoint, elsewhere, without RecBole and pandas; log_pi is of the run's evaluation.
    (tmp_path / "model.pth").write_bytes((tmp_path / "runs" / "a" / "model.pth").read_bytes())
    events = pl.read_parquet(tmp_path / "runs" / "a" / "events.parquet")
    asked = [
        (
            [
                (str((int(s) + k) % 9), "buy" if k == 3 else "view", 1_600_000_000 + k)
                for k in range(place)
            ],
            item,
            log_pi,
        )
        for s, place, item, log_pi in events.select(
            "session_id", "position", "item_id", "log_pi"
        ).iter_rows()
    ]
    python(
        "-c",
        f"""
import sys, math
class Absent:
    def find_spec(self, name, path, target=None):
        if name.partition('.')[0] in ('recbole', 'pandas'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import recbole_lpi
policy = recbole_lpi.load_policy('model.pth')
histories, items, wanted = zip(*{asked!r})
for found, log_pi in zip(policy.log_prob(histories, items), wanted):
    assert math.isclose(found, log_pi, abs_tol=1e-5)
assert policy.recommend(histories, k=4).table().height == 4 * len(items)
""",
    )
