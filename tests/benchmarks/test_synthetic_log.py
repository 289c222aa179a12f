"""Synthetic logs are read by the converters, and are like the logs that they were fitted to."""

from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import synthetic_log
from benchmarks.synthetic_log import FILES, SHAPES, fit, generate, read
from dataset_prep import retailrocket, yoochoose

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = {
    "yoochoose": DATA / "yoochoose-1pct",
    "retailrocket": DATA / "retailrocket-buyers",
}
# In a few thousand sessions the longest is shorter, and heavy tails weigh less than in the whole.
LOOSE = {"longest": None, "exponent": 0.5, "offset": 0.8, "clicks_per_session": 0.15}


def refitted(kind, folder):
    return asdict(fit(kind, *read(kind, [folder / name for name in FILES[kind]])))


@pytest.mark.parametrize(("kind", "clicks"), [("yoochoose", 40_000), ("retailrocket", 100_000)])
def test_a_generated_log_has_the_shape_it_was_made_by(tmp_path, kind, clicks):
    generate(kind, tmp_path, clicks, seed=1)
    found = refitted(kind, tmp_path)
    for name, value in asdict(SHAPES[kind]).items():
        tolerance = LOOSE.get(name, 0.1)
        if tolerance is not None:
            assert found[name] == pytest.approx(value, rel=tolerance, abs=0.01), name


def test_the_converters_read_it_and_keep_what_they_keep_of_the_real_one(tmp_path):
    """As the 1 % sample of YooChoose, in the counts that no parameter is fitted to."""
    generate("yoochoose", tmp_path, 33_004)
    clicks, buys = (tmp_path / name for name in FILES["yoochoose"])
    found = yoochoose.convert(clicks, buys, tmp_path / "shop")
    assert not found.bad_rows
    # tests/dataset_prep/test_real_logs.py: of 92,497 sequences, 329,537 clicks, 11,825 purchases
    kept, raw = vars(found.kept), vars(found.raw)
    shares = {"sequences": 44_312 / 92_497, "clicks": 245_825 / 329_537,
              "purchases": 10_074 / 11_825}  # fmt: skip
    for name, share in shares.items():
        assert kept[name] / raw[name] == pytest.approx(share, rel=0.05), name
    assert raw["clicks"] == pytest.approx(33_004, rel=0.05)
    assert raw["purchases"] / raw["clicks"] == pytest.approx(11_825 / 329_537, rel=0.2)

    generate("retailrocket", tmp_path, 20_000)
    summary = retailrocket.convert(tmp_path / "events.csv", tmp_path / "rocket")
    assert not summary.bad_rows and set(summary.raw_events) == {"view", "addtocart", "transaction"}


@pytest.mark.parametrize("kind", sorted(SHAPES))
def test_the_shapes_are_what_the_fit_of_the_samples_prints(kind):
    files = [REAL[kind] / f"{name}.gz" for name in FILES[kind]]
    if not all(file.exists() for file in files):
        pytest.skip(f"needs ../shared/data/{REAL[kind].name}, which is not part of the project")
    found = asdict(fit(kind, *read(kind, files)))
    for name, value in asdict(SHAPES[kind]).items():
        assert found[name] == pytest.approx(value, rel=1e-3), name


def test_it_is_written_by_blocks_and_by_seed(tmp_path, monkeypatch):
    """Sessions of a block depend on its number and the seed, not on how many blocks there are."""
    monkeypatch.setattr(synthetic_log, "BLOCK", 500)
    texts = []
    for name, clicks, seed in (("a", 3563, 0), ("b", 7126, 0), ("c", 3563, 1)):
        generate("yoochoose", tmp_path / name, clicks, seed)
        texts.append((tmp_path / name / "yoochoose-clicks.dat").read_text())
    short, long, other = texts
    assert long.startswith(short) and len(long) > 1.7 * len(short)
    assert short != other
    sessions = [int(line.partition(",")[0]) for line in long.splitlines()]
    assert sessions == sorted(sessions) and len(set(sessions)) == 2000
