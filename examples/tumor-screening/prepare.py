"""Split the breast-cancer data that ships with scikit-learn into a training set and a held-out set."""

import argparse
import tempfile
from pathlib import Path

import mlflow
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--holdout-fraction", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()

    data = load_breast_cancer(as_frame=True).frame
    # scikit-learn says 1 for benign; a screening is judged by the malignant tumors it finds.
    data["malignant"] = 1.0 - data.pop("target")
    train, holdout = train_test_split(
        data, test_size=arguments.holdout_fraction, random_state=arguments.seed, stratify=data["malignant"]
    )
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        for name, part in (("train", train), ("holdout", holdout)):
            path = Path(folder) / f"{name}.parquet"
            part.reset_index(drop=True).to_parquet(path)
            mlflow.log_artifact(str(path))
            mlflow.log_metric(f"{name}_rows", len(part))
    print(f"{len(train)} rows to train on, {len(holdout)} held out")


if __name__ == "__main__":
    main()
