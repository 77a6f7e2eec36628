"""MLflow. Its own variables choose the rest: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME."""

import os
import re
import time
from collections.abc import Mapping, Sequence

from mmad.engine.loggers.contract import Ending, LoggedRun, Row, figures_of

# The most that MLflow takes in one call, and in one value.
_METRICS, _PARAMETERS, _CHARACTERS = 1000, 100, 6000
_STATUS: Mapping[Ending, str] = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "interrupted": "KILLED",
}


class MLflowLogger:
    """One MLflow run for a run folder, with the settings as its parameters."""

    def __init__(self, run: LoggedRun) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient()
        if run.id is not None:
            self.id = run.id
            self._client.update_run(run.id, status="RUNNING")
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "mmad")
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            place = self._client.create_experiment(name)
        else:
            place = experiment.experiment_id
        self.id = str(self._client.create_run(place, run_name=run.folder.name).info.run_id)
        parameters = [Param(name, str(value)[:_CHARACTERS]) for name, value in run.settings.items()]
        for start in range(0, len(parameters), _PARAMETERS):
            self._client.log_batch(self.id, params=parameters[start : start + _PARAMETERS])

    def log(self, rows: Sequence[Row]) -> None:
        """As in `Logger`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(re.sub(r"[^\w\-./ :]", "_", name), value, now, row["step"])
            for row in rows
            for name, value in figures_of(row).items()
        ]
        for start in range(0, len(metrics), _METRICS):
            self._client.log_batch(self.id, metrics=metrics[start : start + _METRICS])

    def close(self, ending: Ending) -> None:
        """As in `Logger`."""
        self._client.set_terminated(self.id, status=_STATUS[ending])
