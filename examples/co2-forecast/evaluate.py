"""Measure a forecaster on the two years that no window reaches into."""

import argparse

import numpy as np
from series import holdout

from headgate.tasks import tracking


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    arguments = parser.parse_args()

    data = holdout()
    dataset = tracking.dataset("last-two-years", data)
    tracking.log_input(dataset, context="evaluation")
    errors = tracking.load_model(arguments.model).predict(data[["week"]]) - data["co2"].to_numpy()
    metrics = {"rmse": float(np.sqrt(np.mean(errors**2))), "bias": float(np.mean(errors))}
    tracking.log_metrics(metrics, model_id=arguments.model, dataset=dataset)
    print(", ".join(f"{name} {value:.3f} ppm" for name, value in metrics.items()))


if __name__ == "__main__":
    main()
