"""Local policy improvement for recommender systems, as a RecBole plug-in."""

__version__ = "0.1.0"
