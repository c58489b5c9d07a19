"""A nightly flow as a team has it, and the two tasks that Headgate adds to it: train a project, promote by its gate.

The folder ``order-forecast`` lies beside this file. The store is the one of the block ``default``, or of
``HEADGATE_STORE_URL``; ``python prefect_existing_flow.py`` runs the flow once.
"""

import csv
import os
import random
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from prefect import flow, task

from headgate.prefect import promote_model, run_project

FOLDER = Path(os.environ.get("ORDERS_FOLDER", tempfile.gettempdir()))


@task(retries=2)
def extract(until: date) -> Path:
    """Write the orders of the last year; the made-up numbers stand for a query to the warehouse."""
    path = FOLDER / f"orders-{until}.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["day", "orders"])
        for day in (until - timedelta(days=age) for age in range(365, 0, -1)):
            usual = (900 + day.toordinal() % 3650 * 0.1) * (0.6 if day.weekday() >= 5 else 1.1)
            table.writerow([day.isoformat(), round(usual * random.Random(day.toordinal()).uniform(0.93, 1.07))])
    return path


@task
def report(path: Path) -> int:
    """Count yesterday's orders."""
    with path.open(newline="") as file:
        *_, (_, orders) = csv.reader(file)
    return int(orders)


@flow
def nightly_orders(until: date | None = None) -> None:
    orders = extract(until or datetime.now(UTC).date())
    report.submit(orders).wait()

    # What Headgate adds:
    train = run_project.with_options(retries=1)("order-forecast", parameters={"orders": orders})
    promote_model(train, gate="order-forecast/gate.yaml", model_name="order-forecast")


if __name__ == "__main__":
    nightly_orders()
