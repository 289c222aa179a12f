"""What the user gave and can cure: one error for it, and one net for whatever a parser raises."""

from __future__ import annotations

import errno
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

DAMAGED = (
    EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile, tarfile.TarError,
)  # fmt: skip
LONGEST_REASON = 200  # characters


class InputError(ValueError):
    """What the user gave is wrong: one line that names it and the cure."""


def printable(text: str) -> str:
    """``text`` in one line, in which what a terminal would obey is escaped: \\x1b."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split("\n")))


@contextmanager
def reading(label: str) -> Iterator[None]:
    """InputError, with ``label``, for whatever a parser of foreign bytes fails with.

    What such a parser raises on a broken or lying file is not listed anywhere. A full disk is not
    the file's fault, and goes on to whoever writes.
    """
    try:
        yield
    except InputError:
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{label} is cut off or damaged ({reason}): download it again") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{label} is not UTF-8: re-encode it with iconv") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        if error.errno is None:  # of bz2
            raise InputError(
                f"{label} is cut off or damaged ({error}): download it again"
            ) from error
        raise InputError(f"{label} cannot be read ({error.strerror or error})") from error
    except (Exception, pl.exceptions.PanicException) as error:
        reason = f"{type(error).__name__} {' '.join(str(error).split())}"[:LONGEST_REASON].strip()
        raise InputError(f"{label} cannot be read ({reason}): unpack or export it again") from error
