"""Monthly retraining of ``co2-forecast``: a gate, a promotion with no hands, and a flow that follows each promotion.

``co2-forecast`` is the pipeline in the folder of that name, with its own schedule: it trains, measures, decides and
promotes. ``roll-out`` runs on every promotion and rollback of the champion, wherever it was made.

``python prefect_retraining.py`` serves both. The store is the one of the block ``default``, or of
``HEADGATE_STORE_URL``.
"""

from prefect import flow, serve

from headgate.prefect import pipeline_flow, promoted

retraining = pipeline_flow("co2-forecast")


@flow(name="roll-out", log_prints=True)
def roll_out(model: str, version: int, verdict_id: str | None = None) -> str:
    """Tell the serving fleet which version to load; here it is only said which one that is."""
    decided = f"by the verdict {verdict_id}" if verdict_id else "by a rollback"
    print(f"version {version} of {model} is the champion, {decided}")
    return f"models:/{model}/{version}"


if __name__ == "__main__":
    serve(
        retraining.to_deployment("monthly"),
        roll_out.to_deployment("on-promotion", triggers=[promoted("co2-forecast", alias="champion")]),
    )
