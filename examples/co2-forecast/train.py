"""Fit the forecaster to the window that ends at the run's logical date."""

import argparse

import pandas as pd
from forecaster import SeasonalTrend
from series import HOLDOUT_START, holdout, weekly

from headgate.tasks import tracking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--until", type=pd.Timestamp, required=True)
    parser.add_argument("--harmonics", type=int, required=True)
    arguments = parser.parse_args()

    until = min(arguments.until.tz_localize(None), HOLDOUT_START)
    window = weekly()[:until]
    tracking.log_input(tracking.dataset("window", window.to_frame()), context="training")
    tracking.log_metric("weeks", len(window))
    model = SeasonalTrend(arguments.harmonics).fit(window)
    tracking.log_model(
        model, name="seasonal-trend", input_example=holdout()[["week"]].head(3), code_paths=["forecaster.py"]
    )
    print(f"fitted to {len(window)} weeks until {until.date()}")


if __name__ == "__main__":
    main()
