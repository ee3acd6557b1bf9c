"""Every mistake in a region.yaml is one sentence that names the file, the key, what is there and what to do."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.checks import check_files

Tiny = Callable[..., Path]
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parent / "mistakes.yaml").read_text())
EVENTS = {
    "kind": "events",
    "path": "events.csv",
    "columns": {"user": "user", "time": "time", "latitude": "lat", "longitude": "lon"},
}
TRIPS = {
    "kind": "trips",
    "path": "trips.csv",
    "columns": {
        "origin_latitude": "from_lat",
        "origin_longitude": "from_lon",
        "destination_latitude": "to_lat",
        "destination_longitude": "to_lon",
    },
}


WORDS = ["region", "kind", "path", "columns", "level", "poi", "mobility", "tasks", "modalities", "resolution", "od"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=6)
    ),
    max_leaves=12,
)


def spoil(case: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """The edit of region.yaml that a case of mistakes.yaml describes."""

    def edit(content: dict[str, Any]) -> None:
        if "mobility" in case:
            content["mobility"] = deepcopy({"events": EVENTS, "trips": TRIPS}[case["mobility"]])
        for path, value in case.get("put", {}).items():
            part, last = _walk(content, path)
            part[last] = value
        for path in case.get("drop", []):
            part, last = _walk(content, path)
            del part[last]

    return edit


def _walk(content: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *above, last = path.split(".")
    for key in above:
        content = content[key]
    return content, last


@pytest.mark.parametrize("case", CASES["in_the_yaml"], ids=lambda case: case["name"])
def test_a_mistake_in_region_yaml_is_one_sentence(tiny: Tiny, case: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        RegionConfig.load(tiny(spoil(case)))
    assert str(caught.value) == case["message"]


@pytest.mark.parametrize("case", CASES["in_the_files"], ids=lambda case: case["name"])
def test_a_mistake_about_the_files_is_one_sentence(tiny: Tiny, case: dict[str, Any]) -> None:
    path = tiny(spoil(case))
    config = RegionConfig.load(path)
    with pytest.raises(UserError) as caught:
        check_files(config)
    assert str(caught.value).replace(str(path.parent), "FOLDER") == case["message"]


def test_a_file_that_is_not_yaml_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "region.yaml"
    path.write_text("region: tiny\nmobility: {kind: od\ntasks: {}\n")
    with pytest.raises(UserError, match=r"^region.yaml: not valid YAML \(line 3, column 6\): .* Fix that line\.$"):
        RegionConfig.load(path)


def test_a_key_that_stands_twice_is_no_silent_loss(tmp_path: Path) -> None:
    path = tmp_path / "region.yaml"
    path.write_text("region: tiny\nregion: other\n")
    with pytest.raises(UserError, match=r"line 2, column 1\): the key 'region' is there twice; keep one"):
        RegionConfig.load(path)


@pytest.mark.parametrize(("text", "what"), [("", "is empty"), ("- a\n", "holds a list"), ("a", "holds 'a'")])
def test_a_file_without_keys_says_which_keys_it_needs(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "region.yaml"
    path.write_text(text)
    message = f"region.yaml: {what}; it must be a mapping with keys such as region, resolution and mobility."
    with pytest.raises(UserError) as caught:
        RegionConfig.load(path)
    assert str(caught.value) == message


def test_a_region_yaml_that_is_not_there_is_named_in_full(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        RegionConfig.load(tmp_path / "region.yml")
    assert str(caught.value) == f"{tmp_path}/region.yml does not exist. Give the path of a region.yaml."


def test_a_region_yaml_that_is_no_text_says_so(tmp_path: Path) -> None:
    (tmp_path / "region.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="cannot be read as text"):
        RegionConfig.load(tmp_path)


def test_several_mistakes_come_a_line_each(tiny: Tiny) -> None:
    with pytest.raises(UserError) as caught:
        RegionConfig.load(tiny(spoil({"put": {"resolution": 16, "mobility.kind": "trip"}})))
    assert [line.split(" is ")[0] for line in str(caught.value).splitlines()] == [
        "region.yaml: resolution",
        "region.yaml: mobility.kind",
    ]


@given(st.text(max_size=70))
def test_a_region_name_is_a_safe_folder_name_or_refused(name: str) -> None:
    """Whatever is accepted can neither leave the lake nor clash with another name on a disk that ignores case."""
    text = yaml.safe_dump({"region": name, "resolution": 8, "mobility": TRIPS})
    try:
        accepted = RegionConfig.model_validate(yaml.safe_load(text)).region
    except ValueError:
        accepted = None
    plain = name[:1] in set("abcdefghijklmnopqrstuvwxyz") and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert accepted == (name if plain and len(name) <= 63 else None)


@given(ANYTHING)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_yaml_whatever_makes_a_traceback(tmp_path: Path, content: Any) -> None:
    path = tmp_path / "region.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UserError, match=r"region\.yaml: "):
        RegionConfig.load(path)
