"""Fetch RecBole's published processed files, an archive per kind of event, and join them."""

from __future__ import annotations

import contextlib
import logging
import lzma
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import polars as pl
import yaml

from recbole_lpi.files import replacing
from recbole_lpi.locks import exclusive_beside
from recbole_lpi.plugin.transfers import fetch
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line

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
NOT_WHOLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
COLUMNS = ("session_id:token", "item_id:token", "timestamp:float")


def addresses() -> dict[str, str]:
    """Return RecBole's own list of archives and where they are, by name."""
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
    made, scratch = folder / f"{dataset}.inter", _scratch(folder)
    with exclusive_beside(folder, "download"):
        if made.is_file():  # by a run that was waited for
            return made
        if scratch.is_symlink():
            raise SettingError(f"{scratch} is a link: remove it")
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            frames = []
            for name, (event, reward) in ARCHIVES[dataset].items():
                archive = fetch((urls or addresses())[name], scratch / f"{name}.zip")
                frames.append(_events(archive, event, reward))
            joined = pl.concat(frames).sort(COLUMNS[0], COLUMNS[2], maintain_order=True)
            with replacing(made) as beside:
                joined.write_csv(beside, separator="\t")
            shutil.rmtree(scratch)
        finally:
            with contextlib.suppress(OSError):  # what has arrived is in it
                scratch.rmdir()
    return made


def forget(dataset: str, folder: Path) -> None:
    """Remove what a broken-off transfer left behind, once the data it was for are there.

    Until then it is kept: the next ``download`` goes on with it.
    """
    scratch = _scratch(folder)
    if dataset in ARCHIVES and scratch.is_dir():
        with contextlib.suppress(SettingError, OSError), exclusive_beside(folder, None):
            shutil.rmtree(scratch)
            logging.getLogger().info(f"download: removed {scratch}, left by one that broke off")


def _scratch(folder: Path) -> Path:
    """Name the folder that holds what has arrived, beside the data set's."""
    return folder.with_name(f".{folder.name}.download")


def _events(archive: Path, event: str, reward: float) -> pl.DataFrame:
    """Read the interaction file in an archive, which is removed if it holds anything else."""
    target = archive.with_suffix(".inter")
    try:
        _unpack(archive, target)
        return _read(target, archive.name, event, reward)
    except SettingError:
        archive.unlink()
        raise
    finally:
        target.unlink(missing_ok=True)


def _unpack(archive: Path, target: Path) -> None:
    """Unpack the one interaction file of ``archive`` into ``target``."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            inside = [one for one in zipped.infolist() if one.filename.endswith(".inter")]
            if len(inside) != 1:
                raise SettingError(f"{archive.name} holds {len(inside)} .inter files, not one")
            free = shutil.disk_usage(archive.parent).free
            if inside[0].file_size > free:
                raise SettingError(
                    f"{archive.name} unpacks to {inside[0].file_size:,} bytes, and {free:,} are "
                    "free on this disk"
                )
            target.unlink(missing_ok=True)
            with zipped.open(inside[0]) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)
    except SettingError:
        raise
    except NOT_WHOLE as error:
        raise SettingError(
            f"{archive.name} is no zip archive that can be read ({one_line(error)}); try again"
        ) from None


def _read(target: Path, archive: str, event: str, reward: float) -> pl.DataFrame:
    """Read an unpacked file of one kind of event, in the columns that our converters write."""
    try:
        frame = pl.read_csv(target, separator="\t", quote_char=None, infer_schema=False)
        session, item, time = (
            _column(frame, names, archive)
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
        said = one_line(str(error).partition("\n")[0])
        raise SettingError(f"{archive}: {target.name} does not parse: {said}") from None


def _column(frame: pl.DataFrame, names: tuple[str, ...], archive: str) -> str:
    """Find the first of ``names`` that the file has; SettingError if it has none."""
    for name in names:
        if name in frame.columns:
            return name
    there = one_line(", ".join(frame.columns[:20]))
    raise SettingError(f"{archive} has no column {' or '.join(names)}: {there}")
