"""RecBole on today's numpy, and without ray."""

from __future__ import annotations

import numpy as np

from recbole_lpi.plugin import compatibility
from tests.support import fresh


def test_numpy_gets_back_only_what_it_lacks(monkeypatch):
    for name in compatibility.ALIASES:
        monkeypatch.delattr(np, name, raising=False)
    monkeypatch.setattr(np, "bool", "numpy's own", raising=False)
    compatibility.restore_numpy_aliases()
    assert np.__dict__["float_"] is np.float64 and np.__dict__["float"] is float
    assert np.__dict__["bool"] == "numpy's own"


def run(code: str, *path: str) -> None:
    done = fresh.run(code, path)
    assert done.status == 0, done.said


def test_the_stand_in_leaves_nothing_behind():
    run(
        "import sys\n"
        "sys.meta_path.insert(0, type('No', (), {'find_spec': staticmethod(\n"
        "    lambda name, path=None, target=None: (_ for _ in ()).throw(ImportError(name))\n"
        "    if name.partition('.')[0] == 'ray' else None)}))\n"
        "import recbole_lpi, recbole.quick_start\n"
        "assert not [name for name in sys.modules if name.partition('.')[0] == 'ray']\n"
        "assert recbole.quick_start.quick_start.tune.report(ndcg=1) is None"
    )


def test_a_ray_that_works_is_used(tmp_path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text("")
    (tmp_path / "ray" / "tune.py").write_text("report = 'real'")
    run(
        "import recbole_lpi, recbole.quick_start\n"
        "assert recbole.quick_start.quick_start.tune.report == 'real'",
        str(tmp_path),
    )


def test_a_ray_that_does_not_import_counts_as_none(tmp_path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text("import pkg_resources_that_is_gone")
    run(
        "import recbole_lpi, recbole.quick_start\n"
        "assert recbole.quick_start.quick_start.tune.report() is None",
        str(tmp_path),
    )


def test_a_folder_that_another_process_just_made_is_no_error(tmp_path, monkeypatch):
    from recbole.utils.logger import ensure_dir

    monkeypatch.setattr("os.path.exists", lambda path: False)  # as a moment ago
    ensure_dir(str(tmp_path))
    ensure_dir(str(tmp_path / "log"))
    assert (tmp_path / "log").is_dir()
