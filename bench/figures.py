"""The result of a benchmark: figures, each with a baseline from the same run where there is one."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value and, where `baseline_is` names one, its baseline and `ratio`: measured divided by baseline.

    `runs` and `baseline_runs` are the individual measurements in chronological order.
    """

    name: str
    measured: float
    unit: str
    baseline: float | None = None
    baseline_is: str | None = None
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
        baseline_is: str,
        runs: Sequence[float] = (),
        baseline_runs: Sequence[float] = (),
    ) -> "Figure":
        """Return a figure with its ratio to the baseline."""
        return cls(
            name,
            round(measured, 3),
            unit,
            round(baseline, 3),
            baseline_is,
            round(measured / baseline, 3),
            tuple(round(run, 3) for run in runs),
            tuple(round(run, 3) for run in baseline_runs),
        )

    @property
    def comparison(self) -> str:
        """The ratio in words, such as "2 % above" or "23.6 times"."""
        if self.ratio is None:
            return ""
        if self.ratio >= 2:
            return f"{self.ratio:.1f} times"
        percent = abs(self.ratio - 1) * 100
        if percent < 0.5:
            return "equal to"
        return f"{percent:.{1 if percent > 99 else 0}f} % {'above' if self.ratio > 1 else 'below'}"
