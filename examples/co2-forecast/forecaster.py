"""A forecaster: a quadratic trend and yearly harmonics, fitted by least squares. A plain Python predictor."""

import numpy as np
import pandas as pd

DAYS_PER_YEAR = 365.25


class SeasonalTrend:
    """Forecasts ppm for a frame with a column ``week``.

    Args:
        harmonics: how many waves a year the season is made of.
    """

    def __init__(self, harmonics: int) -> None:
        self.harmonics = harmonics
        self.origin = pd.Timestamp("1958-01-01")
        self.coefficients = np.zeros(3 + 2 * harmonics)

    def fit(self, series: pd.Series) -> "SeasonalTrend":
        self.coefficients, *_ = np.linalg.lstsq(self._design(series.index), series.to_numpy(), rcond=None)
        return self

    def predict(self, inputs: pd.DataFrame) -> np.ndarray:
        return self._design(pd.DatetimeIndex(inputs["week"])) @ self.coefficients

    def _design(self, weeks: pd.DatetimeIndex) -> np.ndarray:
        years = np.asarray((weeks - self.origin).days / DAYS_PER_YEAR, dtype=float)
        waves = [wave(2 * np.pi * k * years) for k in range(1, self.harmonics + 1) for wave in (np.sin, np.cos)]
        return np.column_stack([np.ones_like(years), years, years**2, *waves])
