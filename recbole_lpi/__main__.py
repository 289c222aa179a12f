"""``python -m recbole_lpi``: the command line."""

from recbole_lpi.start import program

program()
