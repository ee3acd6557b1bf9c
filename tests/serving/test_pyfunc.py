"""The MLflow model answers as the encoder does, and carries no pickle."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from mora_pipeline.contract.errors import UserError
from mora_pipeline.distillation.coordinate_encoder import CoordinateEncoder, save_encoder
from mora_pipeline.serving.pyfunc import register_encoder

PLACES = pd.DataFrame({"latitude": [48.2, -33.4, 90.0], "longitude": [16.4, -70.6, -180.0]}, index=["a", "b", "c"])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """MLflow on a SQLite file of its own, whatever tracking and registry earlier tests have left set."""
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_registry_uri(f"sqlite:///{tmp_path}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("test", (tmp_path / "artifacts").as_uri()))
    yield tmp_path
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


@pytest.fixture
def encoder(store: Path) -> CoordinateEncoder:
    encoder = CoordinateEncoder(degree=4, hidden=8, hidden_layers=1)
    save_encoder(encoder, store / "encoder")
    return encoder


def test_the_registered_model_answers_as_the_encoder_does(store: Path, encoder: CoordinateEncoder) -> None:
    with mlflow.start_run():
        assert register_encoder(store / "encoder", "mora_tiny") == "1"
        assert register_encoder(store / "encoder", "mora_tiny") == "2"
    model = mlflow.pyfunc.load_model("models:/mora_tiny/2")
    answer = model.predict(PLACES)
    assert answer.shape == (3, 128)
    assert answer.index.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(answer.to_numpy(), encoder.encode(PLACES["latitude"], PLACES["longitude"]))
    with pytest.raises((UserError, MlflowException), match="Row 0: latitude is 91"):
        model.predict(pd.DataFrame({"latitude": [91.0], "longitude": [0.0]}))
    with pytest.raises(MlflowException, match="longitude"):
        model.predict(PLACES[["latitude"]])


def test_the_model_carries_no_pickle_and_the_weights_once(store: Path, encoder: CoordinateEncoder) -> None:
    (store / "encoder" / "part-00000.parquet").write_bytes(b"vectors of cells, which the model does not need")
    with mlflow.start_run():
        assert register_encoder(store / "encoder") is None
    files = [path.name for path in (store / "artifacts").rglob("*") if path.is_file()]
    assert files.count("encoder.safetensors") == 1
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".parquet", ".pt"))]


def test_a_folder_without_encoder_is_one_clear_message(store: Path) -> None:
    with mlflow.start_run(), pytest.raises(UserError, match="distilled_encoder"):
        register_encoder(store)
