"""Local policy improvement for recommender systems, as a RecBole plug-in.

Importing this package is all it takes: RecBole then knows the policies by name, with their data
set, trainer, metrics and default settings. RecBole itself is not imported until somebody does.
"""

from recbole_lpi.plugin.registration import register

__version__ = "0.1.0"

register()
