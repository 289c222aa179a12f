"""The Netflix Prize: every published form gives the same rows; bad input is named and placed."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_prep import movie_files, netflix
from dataset_prep.ratings import Preparation
from dataset_prep.sources import InputError
from tests.support.converters import ConverterSuite

MOVIES = {
    1: "7,3,2005-09-06\n8,5,2005-05-13\n",
    2: "7,4,2005-09-05\n9,1,2004-02-29\n",
    10: "9,2,2005-12-31\n7,5,2005-09-06\n",
    11: "9,3,1999-11-11\n",
}
EVERYTHING = Preparation(min_ratings=0, max_ratings=0)
EXPECTED = [  # 7's ratings of movies 1 and 10 are of one day; seconds by date -d DAY +%s -u
    ("7", "2", 1125878400, 4, "liked", 1.0),
    ("7", "1", 1125964800, 3, "rated", 0.5),
    ("7", "10", 1125964800, 5, "liked", 1.0),
    ("8", "1", 1115942400, 5, "liked", 1.0),
    ("9", "11", 942278400, 3, "rated", 0.5),
    ("9", "2", 1078012800, 1, "rated", 0.0),
    ("9", "10", 1135987200, 2, "rated", 0.0),
]
Pack = Callable[[Path], list[Path]]


def combined(folder: Path) -> list[Path]:
    files = [folder / "combined_data_1.txt", folder / "combined_data_2.txt"]
    files[0].write_text(f"1:\n{MOVIES[1]}2:\n{MOVIES[2]}")
    files[1].write_text(f"10:\n{MOVIES[10]}11:\n{MOVIES[11]}")
    return files


def gzipped(folder: Path) -> list[Path]:
    for file in combined(folder):
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return sorted(folder.iterdir())


def zipped(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        for file in reversed(combined(folder)):
            archive.write(file, file.name)
            file.unlink()
        archive.writestr("movie_titles.csv", "1,2003,Dinosaur Planet\n")
        archive.writestr("probe.txt", "1:\n7\n")
        archive.writestr("qualifying.txt", "1:\n7,2005-12-19\n")
    return [folder / "archive.zip"]


def folder_of(pack: Pack) -> Pack:
    def packed(folder: Path) -> list[Path]:
        pack(folder)
        return [folder]

    return packed


def movies(folder: Path) -> list[Path]:
    for movie, text in MOVIES.items():
        text = text if movie != 2 else text.rstrip("\n")  # the last line's end may be missing
        (folder / f"mv_{movie:07}.txt").write_text(f"{movie}:\n{text}")
    (folder / "README").write_text("x")
    return sorted(folder.glob("mv_*.txt"))


def movies_gzipped(folder: Path) -> list[Path]:
    for file in movies(folder):
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    return [folder]


def movies_zipped(folder: Path) -> list[Path]:
    with zipfile.ZipFile(folder / "training_set.zip", "w") as archive:
        for file in reversed(movies(folder)):
            archive.write(file, f"training_set/{file.name}")
            archive.writestr(f"__MACOSX/training_set/._{file.name}", "x")
            file.unlink()
        archive.writestr("training_set/README", "x")
    return [folder / "training_set.zip"]


def tarred(folder: Path, mode: str = "w") -> list[Path]:
    with tarfile.open(folder / "training_set.tar", mode) as archive:  # type: ignore[call-overload]
        for file in reversed(movies(folder)):
            archive.add(file, f"training_set/{file.name}")
            file.unlink()
        archive.add(folder / "README", "training_set/README")
    return [folder / "training_set.tar"]


def tarred_and_gzipped(folder: Path) -> list[Path]:
    return tarred(folder, "w:gz")


def tarred_twice(folder: Path) -> list[Path]:
    """As nf_prize_dataset.tar.gz holds training_set.tar."""
    (inner,) = tarred(folder)
    with tarfile.open(folder / "nf_prize_dataset.tar.gz", "w:gz") as archive:
        archive.add(folder / "README", "download/README")
        archive.add(inner, f"download/{inner.name}")
    return [folder / "nf_prize_dataset.tar.gz"]


def rows(folder: Path) -> list[tuple[str, str, float, float, str, float]]:
    lines = (folder / f"{folder.name}.inter").read_text().splitlines()[1:]
    cells = [line.split("\t") for line in lines]
    return [(s, i, float(t), float(r), e, float(w)) for s, i, t, r, e, w in cells]


class TestNetflix(ConverterSuite):
    files = {
        "combined_data_1.txt": f"1:\n{MOVIES[1]}2:\n{MOVIES[2]}",
        "combined_data_2.txt": f"10:\n{MOVIES[10]}11:\n{MOVIES[11]}",
    }
    rows = EXPECTED
    bad = ("combined_data_1.txt", "7,6,2005-09-06", "the rating")

    def convert(self, paths, output, **options):
        return netflix.convert(paths, output, EVERYTHING, **options)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize("batch", [1, 64 << 20])
@pytest.mark.parametrize(
    "pack",
    [
        combined, gzipped, zipped, movies, movies_gzipped, movies_zipped, tarred,
        tarred_and_gzipped, tarred_twice,
        folder_of(combined), folder_of(gzipped), folder_of(movies),
    ],
)  # fmt: skip
def test_every_form_gives_the_rows_worked_by_hand(
    raw: Path, tmp_path: Path, pack: Pack, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movie_files, "BATCH", batch)
    summary = netflix.convert(pack(raw), tmp_path / "nf", EVERYTHING)
    assert rows(tmp_path / "nf") == EXPECTED
    assert vars(summary.kept) == {"sequences": 3, "items": 4, "ratings": 7, "liked": 3}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nf", "raw"]


def test_preparation(raw: Path, tmp_path: Path) -> None:
    summary = netflix.convert(combined(raw), tmp_path / "nf", Preparation(3, 2))
    assert rows(tmp_path / "nf") == [EXPECTED[place] for place in (1, 2, 5, 6)]
    assert summary.dropped == {
        "ratings_of_short_users": 1,
        "older_ratings": 2,
        "ratings_of_rare_items": 0,
    }
    assert [source.name for source in summary.inputs] == [
        "combined_data_1.txt",
        "combined_data_2.txt",
    ]
    assert summary.raw_events == {"1": 1, "2": 1, "3": 2, "4": 1, "5": 2}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("7,3", "not 3 fields"),
        ("7,3,2005-09-06,1", "not 3 fields"),
        ("seven,3,2005-09-06", "the customer is not a whole number"),
        ("7,0,2005-09-06", "the rating is not 1, 2, 3, 4 or 5"),
        ("7,6,2005-09-06", "the rating is not 1, 2, 3, 4 or 5"),
        ("7,3.5,2005-09-06", "the rating is not 1, 2, 3, 4 or 5"),
        ("7,,2005-09-06", "the rating is not 1, 2, 3, 4 or 5"),
        ("7,3,05-09-06", "the date is not like 2005-09-06"),  # not of the year 5
        ("7,3,2005-02-30", "the date is not like 2005-09-06"),
    ],
)
@pytest.mark.parametrize("pack", [combined, folder_of(movies)])
def test_bad_row_stops_or_is_counted(
    raw: Path, tmp_path: Path, pack: Pack, bad: str, reason: str
) -> None:
    paths = pack(raw)
    combined_file = pack is combined
    file = raw / ("combined_data_2.txt" if combined_file else "mv_0000010.txt")
    file.write_text(file.read_text().replace("7,5,", f"{bad}\n7,5,"))
    with pytest.raises(InputError) as caught:
        netflix.convert(paths, tmp_path / "nf", EVERYTHING)
    message = str(caught.value)
    assert f"{file}, line 3: {reason}" in message
    assert repr(bad) in message and "--on_error=skip" in message
    summary = netflix.convert(paths, tmp_path / "nf", EVERYTHING, on_error="skip")
    assert list(summary.bad_rows.values()) == [1]
    assert rows(tmp_path / "nf") == EXPECTED


@pytest.mark.parametrize("text", ["7,3,2005-09-06\n8,5,2005-05-13\n", "", "1\n7,3,2005-09-06\n"])
def test_a_movie_file_without_its_header(raw: Path, tmp_path: Path, text: str) -> None:
    """Skipped or not: its ratings would be the movie's before it."""
    movies(raw)
    (raw / "mv_0000010.txt").write_text(text)
    for on_error in ("stop", "skip"):
        with pytest.raises(InputError, match=r"mv_0000010.txt, line 1: '.*' is not MOVIE_ID: as a"):
            netflix.convert([raw], tmp_path / "nf", on_error=on_error)


def test_rows_before_any_header(raw: Path, tmp_path: Path) -> None:
    paths = combined(raw)
    paths[1].write_text("5,5,2005-01-01\n" + paths[1].read_text())
    with pytest.raises(InputError, match=r"combined_data_2.txt, line 1: no line such as 1: stands"):
        netflix.convert(paths, tmp_path / "nf", EVERYTHING)
    summary = netflix.convert(paths, tmp_path / "nf", EVERYTHING, on_error="skip")
    assert list(summary.bad_rows.values()) == [1]
    assert rows(tmp_path / "nf") == EXPECTED
    paths[0].write_text("1,2003,Dinosaur Planet\n")  # movie_titles.csv, say
    with pytest.raises(InputError, match="line 1: no line such as 1: stands"):
        netflix.convert(paths[:1], tmp_path / "other")


@pytest.mark.parametrize("header", ["10", "ten:", "10:11:", "99999999999:"])
def test_a_header_that_names_no_movie_is_never_skipped(
    raw: Path, tmp_path: Path, header: str
) -> None:
    paths = combined(raw)
    paths[1].write_text(paths[1].read_text().replace("11:", header))
    message = f"combined_data_2.txt, line 4: neither MOVIE_ID: nor .*: '{header}': fix it, or the"
    with pytest.raises(InputError, match=message):
        netflix.convert(paths, tmp_path / "nf", on_error="skip")


def test_a_movie_is_counted_once(raw: Path, tmp_path: Path) -> None:
    paths = combined(raw)
    (raw / "mv").mkdir()
    movies(raw / "mv")
    message = r"mv_0000001.txt, line 1 begins movie 1, as does .*combined_data_1.txt, line 1: give"
    with pytest.raises(InputError, match=message):
        netflix.convert([*paths, raw / "mv"], tmp_path / "nf")


def test_nothing_to_read(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"raw holds neither combined_data_1.txt nor mv_0000001"):
        netflix.convert([raw], tmp_path / "nf")
    with tarfile.open(raw / "a.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("training_set/README"))
    with pytest.raises(InputError, match=r"a.tar holds no mv_0000001.txt but README: name"):
        netflix.convert([raw / "a.tar"], tmp_path / "nf")
    with pytest.raises(InputError, match=r"none.txt does not exist"):
        netflix.convert([raw / "none.txt"], tmp_path / "nf")
    with zipfile.ZipFile(raw / "a.zip", "w") as zipped:
        zipped.writestr("probe.txt", "1:\n7\n")
        zipped.writestr("movie_titles.csv", "1,2003,Dinosaur Planet\n")
    with pytest.raises(InputError, match=r"a.zip does not hold .* but probe.txt, movie_titles"):
        netflix.convert([raw / "a.zip"], tmp_path / "nf")


def test_a_tar_writes_nowhere_and_links_are_no_files(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("9:\n1,1,2005-01-01\n")
    with tarfile.open(raw / "evil.tar", "w") as archive:
        for name, target in (("mv_0000009.txt", str(tmp_path / "secret")), ("mv_0000010.txt", "")):
            link = tarfile.TarInfo(f"training_set/{name}")
            link.type, link.linkname = (
                (tarfile.SYMTYPE, target) if target else (tarfile.DIRTYPE, "")
            )
            archive.addfile(link)
        content = f"1:\n{MOVIES[1]}".encode()
        member = tarfile.TarInfo("../../mv_0000001.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    netflix.convert([raw / "evil.tar"], tmp_path / "out" / "nf", EVERYTHING)
    assert [row[1] for row in rows(tmp_path / "out" / "nf")] == ["1", "1"]
    assert not list(tmp_path.rglob("mv_*"))


def test_a_movie_file_cut_off(raw: Path, tmp_path: Path) -> None:
    movies_gzipped(raw)
    file = raw / "mv_0000010.txt.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"mv_0000010.txt.gz is cut off or damaged"):
        netflix.convert([raw], tmp_path / "nf")


@pytest.mark.parametrize("pack", [tarred, tarred_and_gzipped, tarred_twice])
def test_a_tar_cut_off(raw: Path, tmp_path: Path, pack: Pack) -> None:
    (path,) = pack(raw)
    whole = path.read_bytes()
    path.write_bytes(whole[: 4 * 1024 - 500] if pack is tarred else whole[: len(whole) * 3 // 4])
    with pytest.raises(InputError, match="is cut off or damaged"):
        netflix.convert([path], tmp_path / "nf")
