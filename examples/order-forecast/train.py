"""Fit a forecaster to daily orders, and measure it on the last weeks, which it has not seen."""

import argparse
import csv
from datetime import date
from pathlib import Path
from statistics import fmean

from weekday_profile import WeekdayProfile

from headgate.tasks import tracking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=Path, required=True, help="a CSV file with the columns day and orders")
    parser.add_argument("--holdout-days", type=int, required=True)
    arguments = parser.parse_args()

    with arguments.orders.open(newline="") as file:
        rows = [(date.fromisoformat(row["day"]), float(row["orders"])) for row in csv.DictReader(file)]
    known, held_out = rows[: -arguments.holdout_days], rows[-arguments.holdout_days :]

    tracking.log_input(tracking.dataset("orders", arguments.orders), context="training")
    forecaster = WeekdayProfile().fit([day for day, _ in known], [orders for _, orders in known])
    model = tracking.log_model(forecaster, name="weekday-profile", code_paths=["weekday_profile.py"])

    days, truth = [day.isoformat() for day, _ in held_out], [orders for _, orders in held_out]
    errors = [forecast - orders for forecast, orders in zip(forecaster.predict(days), truth, strict=True)]
    last_weeks = tracking.dataset("last-weeks", {"day": days, "orders": truth})
    metrics = {
        "mape": fmean(abs(error) / orders for error, orders in zip(errors, truth, strict=True)),
        "bias": fmean(errors),
    }
    tracking.log_metrics(metrics, model_id=model.model_id, dataset=last_weeks)
    print(f"mape {metrics['mape']:.3f}, bias {metrics['bias']:.1f} orders a day, over {len(held_out)} days")


if __name__ == "__main__":
    main()
