"""RecBole's published processed files: one archive per kind of event, fetched and joined."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import polars as pl
import yaml
from tqdm import tqdm

from recbole_lpi.settings import SettingError

# Archives in RecBole's list of addresses, by data set: the kind of event in each, and its reward.
ARCHIVES: dict[str, dict[str, tuple[str, float]]] = {
    "retailrocket": {
        "retailrocket-view-not-merged": ("click", 0.2),
        "retailrocket-addtocart-not-merged": ("purchase", 1.0),
    },
    "yoochoose": {
        "yoochoose-clicks-not-merged": ("click", 0.2),
        "yoochoose-buys-not-merged": ("purchase", 1.0),
    },
}
COLUMNS = ("session_id:token", "item_id:token", "timestamp:float")


def addresses() -> dict[str, str]:
    """RecBole's own list of data sets and where they are."""
    import recbole

    path = Path(recbole.__file__).parent / "properties" / "dataset" / "url.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def download(dataset: str, folder: Path, urls: dict[str, str] | None = None) -> Path:
    """Fetch the archives of ``dataset`` and join them into ``folder/<dataset>.inter``.

    Raises:
        SettingError: the data set has no such archives, or an address does not answer with one.
    """
    if dataset not in ARCHIVES:
        raise SettingError(
            f"--download knows {', '.join(ARCHIVES)}, not '{dataset}'; convert the raw file instead"
        )
    urls = urls or addresses()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        frames = []
        for name, (event, reward) in ARCHIVES[dataset].items():
            archive = _fetch(urls[name], Path(scratch) / f"{name}.zip")
            frames.append(_events(archive, Path(scratch) / name, event, reward))
        joined = pl.concat(frames).sort(COLUMNS[0], COLUMNS[2], maintain_order=True)
        made = Path(scratch) / dataset
        made.mkdir()
        joined.write_csv(made / f"{dataset}.inter", separator="\t")
        folder.mkdir(exist_ok=True)
        (made / f"{dataset}.inter").replace(folder / f"{dataset}.inter")
    return folder / f"{dataset}.inter"


def _fetch(url: str, path: Path) -> Path:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, open(path, "wb") as file:
            total = int(answer.headers.get("Content-Length") or 0) or None
            bar = tqdm(total=total, unit="B", unit_scale=True, desc=url.rpartition("/")[2])
            with contextlib.closing(bar):
                while block := answer.read(1 << 20):
                    file.write(block)
                    bar.update(len(block))
    except (urllib.error.URLError, OSError) as error:
        raise SettingError(
            f"could not fetch {url}: {error}; convert the raw file instead"
        ) from None
    if total and path.stat().st_size != total:
        raise SettingError(f"{url} broke off at {path.stat().st_size} of {total} bytes; try again")
    return path


def _events(archive: Path, scratch: Path, event: str, reward: float) -> pl.DataFrame:
    """The interaction file in an archive, in the columns our converters write."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            inside = [name for name in zipped.namelist() if name.endswith(".inter")]
            if len(inside) != 1:
                raise SettingError(f"{archive.name} holds {len(inside)} .inter files, not one")
            scratch.mkdir()
            target = scratch / os.path.basename(inside[0])
            with zipped.open(inside[0]) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)
    except zipfile.BadZipFile:
        raise SettingError(f"{archive.name} is no zip archive; try again") from None
    try:
        frame = pl.read_csv(target, separator="\t", quote_char=None, infer_schema=False)
        session, item, time = (
            _column(frame, names, archive.name)
            for names in (
                ("session_id:token", "visitor_id:token", "user_id:token"),
                ("item_id:token",),
                ("timestamp:float",),
            )
        )
        return frame.select(
            pl.col(session).alias(COLUMNS[0]),
            pl.col(item).alias(COLUMNS[1]),
            pl.col(time).cast(pl.Float64).alias(COLUMNS[2]),
            pl.lit(event).alias("event:token"),
            pl.lit(reward).alias("reward:float"),
        )
    except pl.exceptions.PolarsError as error:
        said = str(error).partition("\n")[0]
        raise SettingError(f"{archive.name}: {target.name} does not parse: {said}") from None


def _column(frame: pl.DataFrame, names: tuple[str, ...], archive: str) -> str:
    for name in names:
        if name in frame.columns:
            return name
    raise SettingError(f"{archive} has no column {' or '.join(names)}: {', '.join(frame.columns)}")
