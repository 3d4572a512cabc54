"""The folder in which a test run's stack keeps its database, keys and logs."""

from pathlib import Path

TEST_HOME = Path(__file__).parents[2] / ".local" / "test"
