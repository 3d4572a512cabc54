"""What a benchmark gives: figures with their baseline, from the same run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value; `ratio` is measured over baseline where there is one."""

    name: str
    measured: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None

    @classmethod
    def against(cls, name: str, measured: float, baseline: float, unit: str) -> "Figure":
        """A figure with its ratio to the baseline."""
        return cls(name, round(measured, 3), unit, round(baseline, 3), round(measured / baseline, 3))
