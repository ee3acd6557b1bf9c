"""What a score is: R² and RMSE, behind the interface that any other metric joins by.

A metric scores predictions against labels, and scores them again under the weights of a bootstrap, for intervals. All
that shows or compares scores asks the metric: tables, intervals, the choice of the champion.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]


class Metric(ABC):
    """One way to score predictions.

    Attributes:
        name: of the column in the tables of scores and intervals.
        title: as people read it.
        higher_is_better: whether the best score is the highest.
        comparable: whether a score means the same for every task, so that their mean says something.
    """

    name: str
    title: str
    higher_is_better: bool = True
    comparable: bool = True

    @abstractmethod
    def score(self, truth: Floats, predicted: Floats, weight: Floats | None = None) -> float | None:
        """The score of tested rows.

        Args:
            truth: [n], the labels; in the unit of the task.
            predicted: [n], what the model gave for them.
            weight: float64 [n], how often each row counts; None: once.

        Returns:
            The score; None where these labels have none.
        """

    def resampled(self, truth: Floats, predicted: Floats, units: Rows, weights: Floats) -> npt.NDArray[np.float64]:
        """The score under each row of weights, float64 [1 + resamples]; NaN where there is none.

        Args:
            truth, predicted: [n].
            units: int64 [n], the unit (a block, or a cell) of each row.
            weights: [1 + resamples, units], how often each unit counts.
        """
        scores = [self.score(truth, predicted, counts[units]) for counts in weights]
        return np.array([np.nan if score is None else score for score in scores])

    def gain(self, score: Any, other: Any) -> Any:
        """How much better scores (numbers, arrays [n], frames) are than others: positive where the first is better."""
        return score - other if self.higher_is_better else other - score

    def text(self, score: float) -> str:
        """A score as people read it."""
        return f"{score:.3f}"


class RSquared(Metric):
    """R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², ȳ being the mean of the tested rows; none where the labels are constant."""

    name, title = "r2", "R²"

    def score(self, truth: Floats, predicted: Floats, weight: Floats | None = None) -> float | None:
        if weight is not None:
            value = self.resampled(truth, predicted, np.arange(len(truth)), weight[None])[0]
            return None if np.isnan(value) else float(value)
        spread = float(np.sum((truth - truth.mean()) ** 2))
        return None if spread == 0 else 1 - float(np.sum((truth - predicted) ** 2)) / spread

    def resampled(self, truth: Floats, predicted: Floats, units: Rows, weights: Floats) -> npt.NDArray[np.float64]:
        """As of every metric, float64 [1 + resamples], from sums of each unit: no resample looks at the rows again."""
        centred, error = truth - truth.mean(), truth - predicted  # centred, so that the sums below do not cancel
        parts = (np.ones(len(truth)), centred, centred**2, error**2)
        sums = np.stack([np.bincount(units, part, weights.shape[1]) for part in parts], axis=1)
        count, total, squares, errors = (weights @ sums).T
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = squares - total**2 / count
            return np.where(spread > 1e-12 * squares, 1 - errors / spread, np.nan)


class RootMeanSquareError(Metric):
    """√ mean (y − ŷ)², in the task's unit."""

    name, title, higher_is_better, comparable = "rmse", "RMSE", False, False

    def score(self, truth: Floats, predicted: Floats, weight: Floats | None = None) -> float | None:
        if weight is not None and not weight.any():
            return None
        return float(np.sqrt(np.average((truth - predicted) ** 2, weights=weight)))

    def text(self, score: float) -> str:
        return compact(score)


R2, RMSE = RSquared(), RootMeanSquareError()
METRICS: Sequence[Metric] = (R2, RMSE)  # the first is the one that intervals, summaries and the champion go by


def compact(value: float) -> str:
    """A number in few characters: 1,420 or 0.318."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
