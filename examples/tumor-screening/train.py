"""Train a random forest with MLflow's autologging, and log it as a LoggedModel with its score on a validation part."""

import argparse

import mlflow
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--n-estimators", type=int, required=True)
    parser.add_argument("--max-depth", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()

    data = pd.read_parquet(arguments.data)
    features, target = data.drop(columns="malignant"), data["malignant"]
    x_train, x_val, y_train, y_val = train_test_split(features, target, random_state=arguments.seed, stratify=target)

    mlflow.sklearn.autolog(log_models=False, log_datasets=False)
    with mlflow.start_run():
        mlflow.log_input(mlflow.data.from_pandas(data, source=arguments.data, name="train"), context="training")
        forest = RandomForestClassifier(
            n_estimators=arguments.n_estimators, max_depth=arguments.max_depth, random_state=arguments.seed
        )
        forest.fit(x_train, y_train)
        val_f1 = f1_score(y_val, forest.predict(x_val))
        mlflow.log_metric("val_f1", val_f1)
        mlflow.sklearn.log_model(
            forest,
            name="forest",
            input_example=x_train.head(3),
            pip_requirements=["pandas", "scikit-learn"],
            serialization_format="cloudpickle",
        )
    print(f"val_f1 {val_f1:.4f} with {arguments.n_estimators} trees of depth {arguments.max_depth}")


if __name__ == "__main__":
    main()
