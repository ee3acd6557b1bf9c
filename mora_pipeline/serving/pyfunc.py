"""The distilled encoder as an MLflow model: a table of latitude and longitude in, a column for each number of a
vector out: as many as the embeddings had that it was distilled from.

MLflow stores this file as the model's code (models from code) and the weights beside it as safetensors: loading it
unpickles nothing. The environment that serves it needs this package.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from mora_pipeline.distillation.coordinate_encoder import SETTINGS, WEIGHTS, CoordinateEncoder, load_encoder
from mora_pipeline.serving.store import checked_coordinates


class CoordinateModel(PythonModel):
    """Maps coordinates to vectors with the weights of its artifact."""

    encoder: CoordinateEncoder

    def load_context(self, context: PythonModelContext) -> None:
        # MLflow keeps all artifacts of a model in one folder.
        self.encoder = load_encoder(Path(context.artifacts["weights"]).parent)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Columns ``vector_000`` …, one row a coordinate, in the input's order and with its index."""
        latitude, longitude = checked_coordinates(model_input["latitude"], model_input["longitude"])
        vectors = self.encoder.encode(latitude, longitude)
        names = [f"vector_{column:03d}" for column in range(vectors.shape[1])]
        return pd.DataFrame(vectors, columns=names, index=model_input.index)


def register_encoder(folder: Path, name: str | None = None) -> str | None:
    """Log the encoder of a folder to the active MLflow run as ``encoder``, and register it if a name is given.

    Returns:
        The registered version, or None without a name.

    Raises:
        UserError: if the folder holds no encoder.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    settings = load_encoder(folder).settings
    inputs = Schema([ColSpec("double", "latitude"), ColSpec("double", "longitude")])
    outputs = Schema([ColSpec("float", f"vector_{column:03d}") for column in range(settings["dimension"])])
    logged = mlflow.pyfunc.log_model(
        name="encoder",
        python_model=__file__,
        artifacts={"weights": str(folder / WEIGHTS), "settings": str(folder / SETTINGS)},
        signature=ModelSignature(inputs, outputs),
        pip_requirements=["mora-pipeline"],
        registered_model_name=name,
    )
    version = logged.registered_model_version
    return None if version is None else str(version)


mlflow.models.set_model(CoordinateModel())
