"""Text of files and servers, wherever it is shown."""

from __future__ import annotations

import pytest

from recbole_lpi import text
from recbole_lpi.settings import SettingError

HOSTILE = "\x1b]0;owned\x07 [/red] \x9b2J\u202eexe.\ud800\r\n\tend"


@pytest.mark.parametrize("shown", [text.visible, text.one_line, text.markdown, text.latex,
                                   text.csv_cell, text.figure])  # fmt: skip
def test_no_control_character_is_left(shown):
    found = shown(HOSTILE).replace("\n", "").replace("\t", "")
    assert found.isprintable() and "owned" in found and "x9b" in found and "u202e" in found
    found.encode()  # no half of a character either
    assert shown("Größe 大小 café — ok") == "Größe 大小 café — ok"
    assert shown(5) == "5"


def test_lines_stay_in_text_of_several_alone():
    assert text.visible("a\n\tb\r") == "a\n\tb\\r"
    assert text.one_line("a\n\tb\r") == "a\\n\\tb\\r"


@pytest.mark.parametrize(
    ("shown", "given", "wanted"),
    [
        (text.markdown, "a|b `c` <img src=x> [d](e) *f* _g_ \\", "a\\|b \\`c\\` \\<img src=x\\> "
                                                              "\\[d\\](e) \\*f\\* \\_g\\_ \\\\"),
        (text.markdown, "&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        (text.latex, r"\input{x} & 1% $2 #3 _ ^ ~ < > | ±",
         r"\textbackslash{}input\{x\} \& 1\% \$2 \#3 \_ \textasciicircum{} \textasciitilde{} "
         r"$<$ $>$ \textbar{} $\pm$"),
        (text.csv_cell, "=1+1", "'=1+1"), (text.csv_cell, "+1", "'+1"),
        (text.csv_cell, "-1", "'-1"), (text.csv_cell, "@SUM(A1)", "'@SUM(A1)"),
        (text.csv_cell, "LPIRL (beta=1)", "LPIRL (beta=1)"),
        (text.figure, "$x^$", "\\$x^\\$"),
    ],
)  # fmt: skip
def test_what_a_format_takes_for_a_command_is_text(shown, given, wanted):
    assert shown(given) == wanted


def test_an_error_can_be_printed_whatever_it_quotes():
    error = SettingError(f"no column {HOSTILE}")
    assert "\x1b" not in str(error) and "\\x1b]0;owned\\x07" in str(error)
