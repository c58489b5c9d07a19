"""Measure a LoggedModel on the held-out set. The metrics land on the model, with the digest of the data."""

import argparse

import mlflow
import pandas as pd
from sklearn.metrics import f1_score, precision_score, recall_score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="models:/<model id>")
    parser.add_argument("--data", required=True)
    arguments = parser.parse_args()

    data = pd.read_parquet(arguments.data)
    holdout = mlflow.data.from_pandas(data, source=arguments.data, name="holdout", targets="malignant")
    with mlflow.start_run():
        mlflow.log_input(holdout, context="evaluation")
        found = mlflow.sklearn.load_model(arguments.model).predict(data.drop(columns="malignant"))
        metrics = {
            "recall": recall_score(data["malignant"], found),
            "precision": precision_score(data["malignant"], found),
            "f1": f1_score(data["malignant"], found),
        }
        model_id = arguments.model.removeprefix("models:/")
        mlflow.log_metrics(metrics, dataset=holdout, model_id=model_id)
    print(", ".join(f"{name} {value:.4f}" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
