"""A nightly DAG as a team has it, and the two tasks that Headgate adds to it: train a project, promote by its gate.

Drop this file and the folder ``order-forecast`` into the folder of DAGs. The store is the one of the connection
``headgate_default``, or of ``HEADGATE_STORE_URL``.
"""

import csv
import os
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.sdk import dag, get_current_context, task

from headgate.airflow import PromoteModelOperator, RunProjectOperator

FOLDER = Path(os.environ.get("ORDERS_FOLDER", tempfile.gettempdir()))


@dag(schedule="0 5 * * *", start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False, tags=["orders"])
def nightly_orders():
    @task(retries=2)
    def extract() -> str:
        """Write the orders of the last year; the made-up numbers stand for a query to the warehouse."""
        context = get_current_context()
        until = (context.get("logical_date") or context["dag_run"].run_after).date()
        path = FOLDER / f"orders-{until}.csv"
        with path.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["day", "orders"])
            for day in (until - timedelta(days=age) for age in range(365, 0, -1)):
                usual = (900 + day.toordinal() % 3650 * 0.1) * (0.6 if day.weekday() >= 5 else 1.1)
                table.writerow([day.isoformat(), round(usual * random.Random(day.toordinal()).uniform(0.93, 1.07))])
        return str(path)

    @task
    def report(path: str) -> int:
        """Count yesterday's orders."""
        with open(path, newline="") as file:
            *_, (_, orders) = csv.reader(file)
        return int(orders)

    orders = extract()
    report(orders)

    # What Headgate adds:
    train = RunProjectOperator(task_id="train", project="order-forecast", parameters={"orders": orders}, retries=1)
    PromoteModelOperator(
        task_id="promote",
        gate="order-forecast/gate.yaml",
        model_name="order-forecast",
        candidate=train.output,
        on_reject="skip",
    )


dag = nightly_orders()

if __name__ == "__main__":
    dag.test()
