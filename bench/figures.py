"""What a benchmark gives: figures with their baseline, from the same run."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured value; `ratio` is measured over baseline where there is one.

    `runs` and `baseline_runs` are the single measurements behind the two, in the order in which they were made.
    """

    name: str
    measured: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    runs: tuple[float, ...] = ()
    baseline_runs: tuple[float, ...] = ()

    @classmethod
    def against(
        cls,
        name: str,
        measured: float,
        baseline: float,
        unit: str,
        *,
        runs: Sequence[float] = (),
        baseline_runs: Sequence[float] = (),
    ) -> "Figure":
        """A figure with its ratio to the baseline."""
        return cls(
            name,
            round(measured, 3),
            unit,
            round(baseline, 3),
            round(measured / baseline, 3),
            tuple(round(run, 3) for run in runs),
            tuple(round(run, 3) for run in baseline_runs),
        )
