"""The converters as a user runs them: by their path, from another folder."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dataset_prep import csv as any_log
from dataset_prep import retailrocket, yoochoose
from dataset_prep.atomic import staged
from dataset_prep.sources import InputError

FOLDER = Path(yoochoose.__file__).parent
EVENTS = "timestamp,visitorid,event,itemid,transactionid\n" + "1433221332117,1,view,1,\n" * 5


def run(cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("yoochoose", ["--clicks", "--buys", "--min_clicks", "--on_error", "--on-error"]),
        ("retailrocket", ["--events", "--purchase_event", "--min_item_interactions"]),
        ("netflix", ["--ratings", "--max_ratings", "--reward RATING=VALUE", "--on-error"]),
        ("movielens", ["--ratings", "--min_ratings", "--min_item_ratings", "--max-ratings"]),
        ("csv", ["--reward NAME=VALUE", "--default_reward", "--propensity COLUMN"]),
        ("open_bandit", ["--log", "--sessions", "--position", "--on-error"]),
    ],
)
def test_help_cuts_no_option_short(tmp_path: Path, script: str, options: list[str]) -> None:
    done = run(tmp_path, str(FOLDER / f"{script}.py"), "--help")
    assert done.returncode == 0, done.stderr
    assert [option for option in [*options, "--output"] if option not in done.stdout] == []


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


def test_a_reward_of_no_event_is_noted(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("u,i,t,e\na,x,1600000000,buy\na,y,1600000001,see\n")
    options = ["--session=u", "--item=i", "--time=t", "--event=e", "--default_reward=0"]
    options += ["--reward=buy=1", "--reward=sea=0.2", "--output=shop"]
    done = run(tmp_path, str(FOLDER / "csv.py"), "--input", "log.csv", *options)
    assert done.returncode == 0
    assert done.stderr == "note: --reward names 'sea', and no event is; there are buy, see\n"


@contextmanager
def converting(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the midst of a conversion to dataset/shop."""
    code = (
        "import time\n"
        "from pathlib import Path\n"
        "from dataset_prep.atomic import staged\n"
        "with staged(Path('dataset/shop'), False) as folder:\n"
        "    folder.mkdir()\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(60)\n"
    )
    place = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, cwd=folder, env=place, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"begun\n"
        assert list((folder / "dataset").iterdir())
        yield child
        child.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_it_leaves_nothing(tmp_path: Path, number: int) -> None:
    with converting(tmp_path) as child:
        child.send_signal(number)
        assert child.wait(30) != 0
    assert not list((tmp_path / "dataset").iterdir())


def test_what_a_killed_one_left_goes_at_the_next_start(tmp_path: Path) -> None:
    """And not before: what a living one works in stays."""
    events = tmp_path / "events.csv"
    events.write_text(EVENTS)
    (tmp_path / "dataset" / ".shop.mine").mkdir(parents=True)
    with converting(tmp_path) as child:
        before = set((tmp_path / "dataset").iterdir())
        retailrocket.convert(events, tmp_path / "dataset" / "shop")
        assert before < set((tmp_path / "dataset").iterdir())
        child.kill()
        child.wait(30)
    retailrocket.convert(events, tmp_path / "dataset" / "shop", overwrite=True)
    assert {path.name for path in (tmp_path / "dataset").iterdir()} == {".shop.mine", "shop"}


def test_of_two_conversions_the_slower_does_not_replace(tmp_path: Path) -> None:
    events, output = tmp_path / "events.csv", tmp_path / "rr"
    events.write_text(EVENTS)
    with pytest.raises(InputError, match="exists: pass --overwrite"), staged(output, False) as slow:
        slow.mkdir()
        retailrocket.convert(events, output)
    assert (output / "rr.inter").exists()


def test_a_data_set_lost_between_two_moves_comes_back(tmp_path: Path) -> None:
    """Killed after the old one was moved away and before the new one came."""
    left = tmp_path / ".rr.abcdefgh"
    (left / "replaced").mkdir(parents=True)
    (left / "lock").touch()
    (left / "replaced" / "rr.inter").write_text("old")
    (tmp_path / "events.csv").write_text(EVENTS)
    with pytest.raises(InputError, match="exists: pass --overwrite"):
        retailrocket.convert(tmp_path / "events.csv", tmp_path / "rr")
    assert (tmp_path / "rr" / "rr.inter").read_text() == "old"
    assert not left.exists()


def test_wrong_choice_is_status_2(tmp_path: Path) -> None:
    options = ["--events", "events.csv", "--output", "rr", "--purchase_event", "view"]
    done = run(tmp_path, str(FOLDER / "retailrocket.py"), *options)
    assert done.returncode == 2
    assert "'view' is not one of 'addtocart', 'transaction', 'both'" in done.stderr


def test_errors_are_one_line_and_status_2(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(EVENTS + "soon,1,view,1,\n")
    script = str(FOLDER / "retailrocket.py")
    done = run(tmp_path, script, "--events", "events.csv", "--output", "dataset/rr")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: events.csv, line 7: the timestamp is not Unix")
    assert not list((tmp_path / "dataset").iterdir())
    done = run(
        tmp_path, script, "--events", "events.csv", "--on_error=skip", "--output", "dataset/rr"
    )
    assert done.returncode == 0, done.stderr
    assert (
        "bad rows skipped: the timestamp is not Unix milliseconds from 1990 to 2100: 1"
        in done.stdout
    )


def settings(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "summary.json").read_text())["settings"]
    assert found
    return found


def test_mounted_as_commands_of_another_app(tmp_path: Path) -> None:
    prepare = typer.Typer(rich_markup_mode=None)
    for name, converter in {"retailrocket": retailrocket, "yoochoose": yoochoose}.items():
        prepare.command(name)(converter.main)
    prepare.command("csv")(any_log.main)
    events = tmp_path / "events.csv"
    events.write_text(EVENTS)
    options = ["retailrocket", "--events", str(events), "--output", str(tmp_path / "rr")]
    done = CliRunner().invoke(prepare, options)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "rr" / "rr.inter").read_text().count("\n") == 6
    retailrocket.convert(events, tmp_path / "same")
    assert settings(tmp_path / "rr") == settings(tmp_path / "same")
    again = CliRunner().invoke(prepare, options)
    assert again.exit_code == 2
    assert f"error: {tmp_path / 'rr'} exists: pass --overwrite" in again.output
    log, buys = tmp_path / "clicks.dat", tmp_path / "buys.dat"
    log.write_text("1,2014-04-07T10:51:09.277Z,2,0\n" * 3)
    buys.write_text("1,2014-04-07T10:51:09.277Z,2,0,0\n")
    options = ["yoochoose", "--clicks", str(log), "--buys", str(buys)]
    done = CliRunner().invoke(prepare, [*options, "--output", str(tmp_path / "yc")])
    assert done.exit_code == 0, done.output
    yoochoose.convert(log, buys, tmp_path / "yc2")
    assert settings(tmp_path / "yc") == settings(tmp_path / "yc2")
    assert CliRunner().invoke(prepare, ["csv", "--help"]).exit_code == 0


@pytest.mark.parametrize(
    ("script", "twice"),
    [
        ("csv", ["--item=i", "--item=j"]),
        ("csv", ["--on_error=skip", "--on-error=stop"]),
        ("yoochoose", ["--clicks", "a", "--clicks", "b"]),
        ("retailrocket", ["--overwrite", "--overwrite"]),
        ("netflix", ["--output=a", "--output=b"]),
        ("movielens", ["--ratings", "a", "--ratings", "b"]),
    ],
)
def test_an_option_given_twice_is_refused(tmp_path: Path, script: str, twice: list[str]) -> None:
    name = twice[0].partition("=")[0]
    done = run(tmp_path, str(FOLDER / f"{script}.py"), *twice)
    assert (done.returncode, done.stderr) == (2, f"error: {name} is given twice: keep one\n")


def test_several_files_by_the_command_line(tmp_path: Path) -> None:
    for month in ("jan", "feb"):
        (tmp_path / f"{month}.csv").write_text(f"u,i,t\n{month},x,1600000000\n")
    options = ["--input", "jan.csv", "--input=feb.csv", "--session=u", "--item=i", "--time=t"]
    done = run(tmp_path, str(FOLDER / "csv.py"), *options, "--output=shop")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "shop" / "shop.inter").read_text().count("\n") == 3


def test_nothing_of_a_log_commands_the_terminal(tmp_path: Path) -> None:
    """Neither control sequences in names nor markup in the data set's."""
    (tmp_path / "log.csv").write_text("u,i,t,e\na,x,1600000000,b\x1b]0;gotcha\x07uy\n")
    options = ["--input=log.csv", "--session=u", "--item=i", "--time=t", "--event=e"]
    options += ["--reward_column=r\x1b[31m", "--output=[bold]"]
    done = run(tmp_path, str(FOLDER / "csv.py"), *options)
    assert done.returncode == 2 and "no column 'r\\x1b[31m'" in done.stderr
    (tmp_path / "log.csv").write_text("u,i,t,e\na,x,1600000000,buy\n")
    options[5:6] = ["--reward=buy=1"]
    done = run(tmp_path, str(FOLDER / "csv.py"), *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == "[bold]"


def test_ratings_by_the_command_line(tmp_path: Path) -> None:
    """Files may be repeated, rewards too; the table counts ratings, not clicks."""
    for movie in (1, 2):
        (tmp_path / f"{movie}.txt").write_text(f"{movie}:\n7,2,2005-09-06\n8,4,2005-09-07\n")
    options = ["--ratings", "1.txt", "--ratings", "2.txt", "--min_ratings=2", "--reward", "1=0.25"]
    options += ["--reward", "4=1", "--output", "dataset/nf"]
    done = run(tmp_path, str(FOLDER / "netflix.py"), *options)
    assert done.returncode == 0, done.stderr
    table = [re.findall(r"\w+", line) for line in done.stdout.splitlines()]
    assert ["sequences", "items", "ratings", "liked"] in table
    assert ["kept", "2", "2", "4", "2"] in table
    assert "kept with reward 0.25: 2\nkept with reward 1.0: 2\n" in done.stdout
    done = run(
        tmp_path, str(FOLDER / "netflix.py"), *options[:-2], "--reward", "x=1", *options[-2:]
    )
    assert (done.returncode, done.stderr) == (
        2, "error: --reward x=1: x is no rating such as 3 or 3.5\n",
    )  # fmt: skip
    (tmp_path / "u.data").write_text("7\t1\t3\t1000001000\n" * 5)
    options = ["--ratings", "u.data", "--max-ratings=4", "--output", "dataset/ml"]
    done = run(tmp_path, str(FOLDER / "movielens.py"), *options)
    assert done.returncode == 0, done.stderr
    assert "dropped: older ratings: 1\n" in done.stdout


def test_run_as_modules() -> None:
    done = run(FOLDER.parent, "-m", "dataset_prep.csv", "--help")
    assert done.returncode == 0, done.stderr
    assert "--output" in done.stdout
    code = "import csv, dataset_prep.csv as ours; print(csv.DictReader and ours.convert.__module__)"
    assert run(FOLDER.parent, "-c", code).stdout == "dataset_prep.csv\n"
