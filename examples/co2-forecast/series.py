"""Weekly CO2 at Mauna Loa, 1958 to 2001, as it ships with statsmodels, and the part held out of every window."""

import pandas as pd
from statsmodels.datasets import co2

HOLDOUT_START = pd.Timestamp("2000-01-01")


def weekly() -> pd.Series:
    """Return the concentration in ppm by week; weeks without a measurement are interpolated."""
    return co2.load_pandas().data["co2"].interpolate()


def holdout() -> pd.DataFrame:
    """Return the last two years, which no window reaches into: every model is measured on the same data."""
    part = weekly()[HOLDOUT_START:]
    return pd.DataFrame({"week": part.index, "co2": part.to_numpy()})
