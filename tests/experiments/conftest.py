"""Folders of finished runs."""

from tests.support.finished_runs import made as made  # a fixture
