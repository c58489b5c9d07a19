"""Monthly retraining of ``co2-forecast``: a gate, a promotion with no hands, and a flow that follows each promotion.

``co2-forecast`` is the pipeline in the folder of that name, with its own schedule: it trains, measures, decides and
promotes. ``roll-out`` runs on every promotion and rollback of the champion. Those that a flow makes are told at once;
``promotions-from-elsewhere`` looks every minute for what a shell, a notebook or Airflow promoted.

``python prefect_retraining.py`` serves the three. The store is the one of the block ``default``, or of
``HEADGATE_STORE_URL``.
"""

from prefect import flow, serve

from headgate.prefect import pipeline_flow, promoted, tell_promotions

retraining = pipeline_flow("co2-forecast")


@flow(name="roll-out", log_prints=True)
def roll_out(model: str, version: int, verdict_id: str | None = None) -> str:
    """Tell the serving fleet which version to load; here it is only said which one that is."""
    decided = f"by the verdict {verdict_id}" if verdict_id else "by a rollback"
    print(f"version {version} of {model} is the champion, {decided}")
    return f"models:/{model}/{version}"


@flow(name="promotions-from-elsewhere")
def promotions_from_elsewhere() -> None:
    """Tell Prefect what was promoted outside of it, from the first run of this flow on."""
    tell_promotions()


if __name__ == "__main__":
    serve(
        retraining.to_deployment("monthly"),
        roll_out.to_deployment("on-promotion", triggers=[promoted("co2-forecast", alias="champion")]),
        promotions_from_elsewhere.to_deployment("every-minute", interval=60),
    )
