"""Which embeddings a region gets, by which settings; and a preset from outside the package is one like any other."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from mora_pipeline.contract.errors import UserError
from mora_pipeline.presets import Preset, register, unregister
from mora_pipeline.presets.registry import choose, embeddings_settings, preset_of, settings_of
from mora_pipeline.region import RegionConfig
from tests.presets.toy_preset import PRESET, ToyParameters, ToyPreset
from tests.steps.conftest import REGION_YAML


@pytest.fixture
def declared(tmp_path: Path):
    """A region whose region.yaml ends with the given line."""

    def make(line: str) -> RegionConfig:
        (tmp_path / "region.yaml").write_text(REGION_YAML + line)
        return RegionConfig.load(tmp_path)

    return make


@pytest.fixture
def toy() -> Iterator[Preset]:
    register(PRESET)
    yield PRESET
    unregister(PRESET.name)


@pytest.mark.parametrize(
    ("preset", "encoder", "line", "expected", "why"),
    [
        ("declared", None, "", ("mora", None), "neither the run config nor"),
        ("declared", None, "embeddings: {preset: inductive}", ("inductive", None), "region.yaml says so"),
        ("declared", None, "embeddings: {encoder: us_east}", ("mora", "us_east"), "region.yaml says so"),
        ("declared", None, "embeddings: {preset: paper}", ("paper", None), "region.yaml says so"),
        ("paper", None, "embeddings: {encoder: us_east}", ("paper", None), "the run config says so"),
        ("inductive", None, "embeddings: {encoder: us_east}", ("inductive", None), "the run config says so"),
        (
            "declared",
            "us_west",
            "embeddings: {preset: inductive, encoder: us_east}",
            ("mora", "us_west"),
            "the run config says so",
        ),
        ("declared", "us_west", "embeddings: {preset: paper}", ("mora", "us_west"), "the run config says so"),
    ],
)
def test_the_run_config_wins_over_region_yaml_and_that_over_the_default(
    declared, preset, encoder, line, expected, why
) -> None:
    choice = choose(preset, encoder, declared(line))
    assert (choice.preset.name, choice.encoder) == expected
    assert why in str(choice)


def test_an_encoder_of_the_preset_paper_is_refused(declared) -> None:
    with pytest.raises(UserError, match=r"preset is 'paper' and embeddings\.encoder is 'us_east'.*Set one of the two"):
        choose("paper", "us_east", declared(""))


def test_an_unknown_preset_is_answered_with_the_known_ones(declared) -> None:
    with pytest.raises(UserError, match=r"preset is 'inductiv', but there are mora, paper, inductive\. Did you mean"):
        choose("inductiv", None, declared(""))
    with pytest.raises(UserError, match=r"embeddings has preset toy, but there are mora, paper, inductive\."):
        declared("embeddings: {preset: toy}")


def test_the_settings_of_the_default_are_beside_the_choice_and_each_other_preset_has_a_key(toy: Preset) -> None:
    settings = embeddings_settings()(sharpness=3, paper={"layers": 1}, inductive={"units": 7}, toy={"seed": 5})
    assert settings.model_dump(include={"preset", "encoder"}) == {"preset": "declared", "encoder": None}
    own = [settings_of(preset_of(name), settings) for name in ("mora", "paper", "inductive", "toy")]
    assert (own[0].sharpness, own[1].layers, own[2].units, own[3]) == (3, 1, 7, ToyParameters(seed=5))
    assert own[0].model_fields_set == set(own[0].model_fields)
    with pytest.raises(ValidationError, match=r"toy\.dimension"):
        embeddings_settings()(toy={"dimension": 0})


def test_a_registered_preset_is_chosen_by_name_also_with_an_encoder(declared, toy: Preset) -> None:
    assert choose("toy", None, declared("")).preset is toy
    choice = choose("declared", None, declared("embeddings: {preset: toy, encoder: us_east}"))
    assert (choice.preset, choice.encoder) == (toy, "us_east")


def test_no_two_presets_have_one_name_nor_a_preset_that_of_a_setting(toy: Preset) -> None:
    with pytest.raises(ValueError, match="There is a preset 'toy' already"):
        register(PRESET)

    class Units(ToyPreset):
        name = "units"

    register(Units())
    with pytest.raises(ValueError, match=r"embeddings\.units is a setting already"):
        embeddings_settings()
    unregister("units")


def test_an_installed_package_adds_its_preset_by_an_entry_point(tmp_path: Path) -> None:
    """As pip leaves it: a folder of metadata beside the code."""
    metadata = tmp_path / "toy-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[mora_pipeline.presets]\ntoy = tests.presets.toy_preset:PRESET\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        "from mora_pipeline.presets.registry import *; "
        "print(*presets(), *embeddings_settings()(toy={'seed': 3}).toy, sep='|'); "
        "print(*{'torch', 'mlflow', 'scipy', 'dagster'} & set(sys.modules), sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["mora|paper|inductive|toy|('dimension', 128)|('seed', 3)", ""]


@pytest.mark.parametrize(
    ("code", "entry_point", "error"),
    [
        ("import no_such_library", "brittle:PRESET", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "brittle:PRESET", "ZeroDivisionError: division by zero"),
        ("", "brittle:PRESET", "AttributeError: module 'brittle' has no attribute 'PRESET'"),
    ],
)
def test_an_installed_package_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, entry_point: str, error: str
) -> None:
    (tmp_path / "brittle.py").write_text(code)
    metadata = tmp_path / "brittle-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mora-brittle\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[mora_pipeline.presets]\nbrittle = {entry_point}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "brittle", raising=False)
    assert preset_of("paper").name == "paper", "the others are there all the same"
    with pytest.raises(UserError) as caught:
        embeddings_settings()
    monkeypatch.delitem(sys.modules, "brittle", raising=False)
    assert str(caught.value) == (
        f"The preset 'brittle' of the installed package mora-brittle 1.0 (entry point {entry_point}) cannot be "
        f"imported: {error}. Repair that package or uninstall it."
    )
