"""Logs a parameter, a metric with steps and a tag to the run of the job."""

import os

import mlflow

given = os.environ["MLFLOW_RUN_ID"]
mlflow.log_param("colour", "red")
for step, value in enumerate([3.0, 2.0, 1.5]):
    mlflow.log_metric("loss", value, step=step)
mlflow.set_tag("said", "hello")
data = mlflow.get_run(given).data
print(data.params["colour"], data.metrics["loss"], data.tags["said"])
