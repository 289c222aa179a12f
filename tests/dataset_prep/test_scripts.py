"""The converters as a user runs them: by their path, from another folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from dataset_prep import yoochoose

FOLDER = Path(yoochoose.__file__).parent
EVENTS = "timestamp,visitorid,event,itemid,transactionid\n" + "1433221332117,1,view,1,\n" * 5


def run(cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("script", "option"),
    [("yoochoose", "--min_clicks"), ("retailrocket", "--purchase_event"), ("csv", "--reward")],
)
def test_help(tmp_path: Path, script: str, option: str) -> None:
    done = run(tmp_path, str(FOLDER / f"{script}.py"), "--help")
    assert done.returncode == 0, done.stderr
    assert option in done.stdout


def test_the_standard_library_keeps_its_csv(tmp_path: Path) -> None:
    """Run the scripts in this process's child and ask what ``csv`` is afterwards."""
    code = (
        "import runpy, sys\n"
        "script = sys.argv.pop(1)\n"
        "sys.path[0] = script.rpartition('/')[0]\n"  # what python SCRIPT does
        "sys.modules.pop('csv', None)\n"
        "sys.argv[:] = [script, '--help']\n"
        "try: runpy.run_path(script, run_name='__main__')\n"
        "except SystemExit as error: assert not error.code, error\n"
        "import csv\n"
        "print('csv is', csv.__file__, hasattr(csv, 'DictReader'))\n"
    )
    done = run(FOLDER, "-c", code, (FOLDER / "csv.py").as_posix())
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("csv is ") and last.endswith(" True")
    assert str(FOLDER) not in last


def test_run_from_the_scripts_own_folder_and_from_another(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("u,i,t,e\na,x,1600000000,buy\na,y,1600000001,see\n")
    options = ["--session", "u", "--item", "i", "--time", "t", "--event", "e"]
    options += ["--reward", "buy=1", "--reward", "see=0.2", "--on-error", "stop"]
    log, output = str(tmp_path / "log.csv"), str(tmp_path / "own")
    done = run(FOLDER, "csv.py", "--input", log, *options, "--output", output)
    assert done.returncode == 0, done.stderr
    script = str(FOLDER / "csv.py")
    done = run(tmp_path, script, "--input", "log.csv", *options, "--output", "dataset/other")
    assert done.returncode == 0, done.stderr
    assert "purchases" in done.stdout and "kept" in done.stdout
    own = (tmp_path / "own" / "own.inter").read_text()
    assert own == (tmp_path / "dataset" / "other" / "other.inter").read_text()
    assert own.count("\n") == 3


def test_errors_are_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS + "soon,1,view,1,\n")
    script = str(FOLDER / "retailrocket.py")
    done = run(tmp_path, script, "--events", "events.csv", "--output", "dataset/rr")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("events.csv, line 7: the timestamp is not Unix")
    assert not list((tmp_path / "dataset").iterdir())
    done = run(
        tmp_path, script, "--events", "events.csv", "--on_error=skip", "--output", "dataset/rr"
    )
    assert done.returncode == 0, done.stderr
    assert "bad rows skipped: the timestamp is not Unix milliseconds: 1" in done.stdout


def test_inside_another_package(tmp_path: Path) -> None:
    """The wheel holds the folder as recbole_lpi/dataset_prep: nothing may depend on its place."""
    package = tmp_path / "shop_tools"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "dataset_prep").symlink_to(FOLDER, target_is_directory=True)
    code = (
        "from shop_tools.dataset_prep import csv, retailrocket, yoochoose; print(csv.main.__doc__)"
    )
    done = run(tmp_path, "-c", code)
    assert done.returncode == 0, done.stderr
    done = run(tmp_path, "-m", "shop_tools.dataset_prep.yoochoose", "--help")
    assert done.returncode == 0, done.stderr
