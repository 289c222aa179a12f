"""Text that files and servers bring, escaped for where it is shown: the one place that does so.

A name of an item, an event or a column, a setting of somebody's run, the reason of a server can
hold what a terminal, Markdown, LaTeX, a spreadsheet or matplotlib takes for a command.
"""

from __future__ import annotations

import re

# What a terminal acts upon, what turns the direction of writing, and halves of characters. Of
# those, tabs and ends of lines are left in text of several lines.
_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT, _IN_A_LINE = re.compile(f"[{_CONTROLS}]"), re.compile(f"[{_CONTROLS}\\t\\n]")
_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {character: "\\" + character for character in "&%$#_{}"}
_LATEX |= {"±": r"$\pm$", "<": "$<$", ">": "$>$", "|": r"\textbar{}", '"': r"\textquotedbl{}"}


def visible(text: object) -> str:
    """Escape text for a terminal or a log: control characters as ``\\x1b``, lines as they are."""
    return _IN_TEXT.sub(_spelled, str(text))


def one_line(text: object) -> str:
    """Escape text as ``visible`` does, and ends of lines and tabs spelled out as well."""
    return _IN_A_LINE.sub(_spelled, str(text))


def markdown(text: object) -> str:
    """Escape text for Markdown, in a table or not: no markup, no HTML, no end of a cell."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", one_line(text)).replace("&", "&amp;")


def latex(text: object) -> str:
    """Escape text for LaTeX: no command, no end of a cell."""
    return "".join(_LATEX.get(character, character) for character in one_line(text))


def csv_cell(text: object) -> str:
    """Escape text for a spreadsheet: what would begin a formula begins with an apostrophe."""
    line = one_line(text)
    return "'" + line if line[:1] in tuple("=+-@") else line


def figure(text: object) -> str:
    """Escape text for matplotlib: no mathematics."""
    return visible(text).replace("$", r"\$")


def _spelled(found: re.Match[str]) -> str:
    number = ord(found[0])
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(number)
    return short or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")
