"""The metrics of a test."""

from typing import Any


def counts(counted: dict[str, Any]) -> dict[str, float]:
    """The sum of each metric, by its name."""
    return {name: sum(metric["Value"]) for name, metric in counted.items()}
