import subprocess
import sys

import pytest
from pydantic import BaseModel, ValidationError

from mora_pipeline.distillation.parameters import DistillParameters
from mora_pipeline.modalities import kinds
from mora_pipeline.parameters import Parameters
from mora_pipeline.presets.paper.parameters import AlignmentParameters, LineParameters

MODELS: list[type[Parameters]] = [LineParameters, AlignmentParameters, DistillParameters]


def test_the_defaults_are_the_methods():
    """method.md, LightGCN and Alignment."""
    assert AlignmentParameters().model_dump(exclude={"device", "backend", "temperatures"}) == {
        "layers": 2,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "weight_decay": 1e-3,
        "batch_size": 20480,
        "maximum_epochs": 100,
        "patience": 10,
        "validation_share": 0.1,
        "seed": 0,
        "anchor": "mobility",
        "precision": "float32",
        "learn_temperatures": False,
        "modalities": None,
    }
    temperatures = {kind.name: kind.config.model_fields["temperature"].default for kind in kinds()}
    assert temperatures == {"text": 0.5, "table": 0.7, "image": 0.2, "raster": 0.7}
    assert (LineParameters().dimension, LineParameters().order, LineParameters().negatives) == (128, 2, 5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", -1),
        ("learning_rate", 0.0),
        ("weight_decay", -0.1),
        ("batch_size", 1),
        ("maximum_epochs", 0),
        ("patience", 0),
        ("validation_share", 0.0),
        ("validation_share", 1.0),
        ("seed", -1),
        ("backend", "jax"),
        ("device", "tpu"),
        ("precision", "float16"),
        ("temperatures", {"poi": 0.0}),
        ("temperatures", {"mobility": 0.5}),
        ("epochs", 5),
    ],
)
def test_senseless_values_and_unknown_keys_are_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        AlignmentParameters.model_validate({key: value})


@pytest.mark.parametrize("model", MODELS)
def test_every_parameter_is_described(model: type[BaseModel]):
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_dagster_can_take_them_as_configuration():
    import dagster as dg

    for model in MODELS:
        config = type(f"{model.__name__}Config", (model, dg.Config), {})
        assert config().model_dump() == model().model_dump()


def test_they_need_no_torch():
    script = "import sys, mora_pipeline.presets.paper.parameters as _; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
