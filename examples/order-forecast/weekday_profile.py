"""A forecaster of daily orders: a straight trend, times the usual share of each weekday. Standard library only."""

from datetime import date
from statistics import fmean, linear_regression


class WeekdayProfile:
    """Forecasts the orders of days, which are ISO dates."""

    def __init__(self) -> None:
        self.origin = date(1970, 1, 1)
        self.slope = 0.0
        self.level = 0.0
        self.shares = dict.fromkeys(range(7), 1.0)

    def fit(self, days: list[date], orders: list[float]) -> "WeekdayProfile":
        self.origin = days[0]
        self.slope, self.level = linear_regression([(day - self.origin).days for day in days], orders)
        relative = [(day.weekday(), value / self._trend(day)) for day, value in zip(days, orders, strict=True)]
        self.shares = {weekday: fmean(share for on, share in relative if on == weekday) for weekday in range(7)}
        return self

    def predict(self, inputs: list[str]) -> list[float]:
        days = [date.fromisoformat(day) for day in inputs]
        return [self._trend(day) * self.shares[day.weekday()] for day in days]

    def _trend(self, day: date) -> float:
        return self.level + self.slope * (day - self.origin).days
