"""``python -m recbole_lpi``: the command line."""

from recbole_lpi.cli.start import program

program()
