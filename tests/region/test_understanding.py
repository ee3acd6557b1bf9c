"""What `mora region add` says before anything runs: bad rows, places, swapped axes, and what would fail a run."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from mora_pipeline.cli import main
from mora_pipeline.contract.errors import UserError
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.geography import Box, boxed, text_map
from mora_pipeline.region.understanding import Understanding, understand

REGION: dict[str, Any] = {
    "region": "town",
    "resolution": 8,
    "places": {"path": "places.csv", "id": "id", "latitude": "lat", "longitude": "lon"},
    "mobility": {
        "kind": "od",
        "path": "flows.csv",
        "columns": {"origin": "from", "destination": "to", "flow": "flow"},
    },
    "modalities": {
        "poi": {
            "kind": "text",
            "path": "pois.csv",
            "columns": {"latitude": "lat", "longitude": "lon", "category": "kind"},
        }
    },
    "tasks": {"rent": {"level": "cell", "path": "rents.csv", "place": "id", "column": "rent"}},
}
PLACES = [(f"P{number:02}", 47.4 + number % 5 * 0.02, 19.0 + number // 5 * 0.03) for number in range(20)]


@pytest.fixture
def town(tmp_path: Path) -> Callable[..., Path]:
    """A region's folder; files and keys of region.yaml may be put in the place of others."""

    def write(files: dict[str, str] | None = None, **keys: Any) -> Path:
        content = {
            "places.csv": "id,lat,lon\n" + "".join(f"{name},{lat},{lon}\n" for name, lat, lon in PLACES),
            "flows.csv": "from,to,flow\n" + "".join(f"P{n:02},P{(n * 7) % 20:02},{n + 1}\n" for n in range(20)),
            "pois.csv": "lat,lon,kind\n" + "".join(f"{lat},{lon},cafe\n" for _, lat, lon in PLACES),
            "rents.csv": "id,rent\n" + "".join(f"{name},{number * 10}\n" for number, (name, *_) in enumerate(PLACES)),
            **(files or {}),
        }
        for name, text in content.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "region.yaml").write_text(yaml.safe_dump({**REGION, **keys}))
        return tmp_path

    return write


def understood(folder: Path) -> Understanding:
    return understand(RegionConfig.load(folder))


def counts(understanding: Understanding, key: str) -> dict[str, int]:
    (sample,) = (sample for sample in understanding.samples if sample.table.key == key)
    return {reason: count.rows for reason, count in sample.counts.items()}


def test_a_clean_region_is_understood_without_a_warning(town: Callable[..., Path]) -> None:
    found = understood(town())
    assert found.warnings == ()
    assert counts(found, "mobility") == {"": 20}
    assert {(match.key, match.matched, match.of) for match in found.matches} == {
        ("mobility", 20, 20),
        ("tasks.rent", 20, 20),
    }
    assert found.box is not None
    assert 47.39 < found.box.south < found.box.north < 47.49


def test_ends_elsewhere_and_zeros_are_apart_and_shown(town: Callable[..., Path]) -> None:
    flows = "from,to,flow\n" + "P01,P02,3\n" * 5 + "externo,P02,9\n" * 8 + "P01,P03,0\n" * 4
    found = understood(town({"flows.csv": flows}))
    assert counts(found, "mobility") == {"": 5, "unknown place": 8, "flow zero": 4}
    assert any("mobility: only 5 of 13 rows in known places" in warning for warning in found.warnings)


def test_rows_that_carry_most_of_the_flow_are_refused_though_they_are_few(town: Callable[..., Path]) -> None:
    flows = "from,to,flow\n" + "P01,P02,3\n" * 500 + "P01,P03,about 5000\n"
    with pytest.raises(UserError, match=r"1 bad rows carry an estimated 76.* of its flow .*aaaaa 9999"):
        understood(town({"flows.csv": flows}))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"flows.csv": "from,to,flow\n"}, r"flows\.csv holds no rows"),
        ({"flows.csv": "from,to,flow\nX1,X2,3\n"}, r"none of its 1 rows can be used. unknown place: 1"),
        ({"rents.csv": "id,rent\nQ1,5\nQ2,6\n"}, r"tasks\.rent: none of its 2 labels is of a place"),
        ({"rents.csv": "id,rent\nP01,5\nP01,6\n"}, r"tasks\.rent: place 'P01' has 2 rows.*where.*aggregate"),
        ({"rents.csv": 'id,rent\nP01,"250,000+"\nP02,7\nP03,8\n'}, r"tasks\.rent.*1 of 3 labels are no plain numbers"),
        (
            {"places.csv": "id,lat,lon\n" + "".join(f"P{n:02},{5e6 + n},{6e5 + n}\n" for n in range(20))},
            r"latitude beyond",
        ),
    ],
)
def test_what_would_fail_a_run_is_refused_now(town: Callable[..., Path], files: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        understood(town(files))


def test_swapped_axes_are_told_with_both_boxes(town: Callable[..., Path]) -> None:
    swapped = "id,lat,lon\n" + "".join(f"{name},{lon},{lat}\n" for name, lat, lon in PLACES)
    (warning, *_) = understood(town({"places.csv": swapped})).warnings
    assert "places lies at latitude 19.0" in warning
    assert "swapped in one of them" in warning


def test_axes_named_the_other_way_round_are_told(town: Callable[..., Path]) -> None:
    """Where nothing else shows it: a table alone may lie anywhere."""
    places = {**REGION["places"], "latitude": "lon", "longitude": "lat"}
    folder = town(places=places, modalities={}, tasks={})
    assert any("latitude is 'lon' and longitude is 'lat'" in warning for warning in understood(folder).warnings)


def test_points_at_zero_are_told(town: Callable[..., Path]) -> None:
    pois = "lat,lon,kind\n" + "0,0,cafe\n" * 3 + "".join(f"{lat},{lon},cafe\n" for _, lat, lon in PLACES)
    found = understood(town({"pois.csv": pois}))
    assert counts(found, "modalities.poi") == {"": 20, "point at 0, 0": 3}
    assert any("3 of 23 sampled rows have a point at 0, 0" in warning for warning in found.warnings)


def test_checking_changes_nothing_and_adding_does(
    town: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MORA_HOME", str(tmp_path / "home"))
    folder = town({"flows.csv": "from;to;flow\n" + "P01;P02;3\n" * 5})
    checked = CliRunner().invoke(main, ["region", "add", str(folder), "--check"])
    assert checked.exit_code == 0, checked.output
    assert "columns are separated by ';'" in checked.output
    assert "latitude 47.4" in checked.output
    assert not (tmp_path / "home" / "regions.json").exists()
    added = CliRunner().invoke(main, ["region", "add", str(folder)])
    assert added.exit_code == 0, added.output
    assert "Added town" in added.output
    assert json.loads((tmp_path / "home" / "regions.json").read_text()) == {"town": str(folder / "region.yaml")}


def test_a_map_has_its_points_where_they_are() -> None:
    lines = text_map((np.array([0.0, 1.0]), np.array([0.0, 2.0])), width=3, height=2)
    assert [line.rstrip() for line in lines] == ["  #", "#"]


def test_a_few_wild_points_do_not_stretch_the_box() -> None:
    latitude, longitude = np.full(1000, 47.0), np.full(1000, 19.0)
    latitude[:2], longitude[:2] = 0.0, 0.0
    assert boxed((latitude, longitude)) == Box(47.0, 19.0, 47.0, 19.0)


@pytest.mark.parametrize(
    ("files", "keys", "message"),
    [
        (
            {"places.csv": "id,lat,lon\n" + "".join(f"{n},{a},{o}\n{n},{a + 1},{o}\n" for n, a, o in PLACES)},
            {},
            r"40 of 40 rows are of a place that is listed at several points, such as 'P00'.*places\.maximum_bad_share",
        ),
        (
            {"groups.csv": "group,rent\nA,5\n", "members.csv": "id,group\nQ1,A\n"},
            {
                "tasks": {
                    "rent": {
                        "level": "group", "path": "groups.csv", "id": "group", "column": "rent",
                        "members": {"path": "members.csv", "place": "id", "group": "group"},
                    }
                }
            },
            r"tasks\.rent: none of its 1 labels is of a group with a known member",
        ),
        ({"rents.csv": "id,rent\n"}, {}, r"tasks\.rent: .*rents\.csv holds no rows"),
        ({"flows.csv": "from,to,flow\np01,p02,3\n"}, {}, r"known but for capital and small letters, such as 'p01'"),
    ],
)  # fmt: skip
def test_what_no_row_alone_shows_is_refused_now(
    town: Callable[..., Path], files: dict[str, str], keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        understood(town(files, **keys))


def test_what_is_allowed_and_seldom_meant_is_told(town: Callable[..., Path]) -> None:
    rents = "id,rent\n" + "".join(
        f"{name},{-999 if number % 5 == 0 else number}\n" for number, (name, *_) in enumerate(PLACES)
    )
    flows = "from,to,flow\n" + "P01,P02,3\n" * 9 + "p01,P02,9\n"
    warnings = understood(town({"rents.csv": rents, "flows.csv": flows})).warnings
    assert any(w.startswith("tasks.rent: 'rent': 4 of 20 values are -999") for w in warnings)
    assert any("mobility: 1 of its 1 unknown ids would be known but for capital" in w for w in warnings)


def test_a_box_without_any_point_is_told(town: Callable[..., Path]) -> None:
    assert any("extent.box" in warning for warning in understood(town(extent={"box": [19, 47, 20, 48]})).warnings)
    assert understood(town(extent={"box": [47, 19, 48, 20]})).warnings == ()


def test_a_file_named_as_a_copy_that_holds_other_rows_is_told(town: Callable[..., Path]) -> None:
    folder = town()
    (folder / "flows (1).csv").write_text((folder / "flows.csv").read_text() + "P01,P02,1\n")
    mobility = {**REGION["mobility"], "path": "flows*.csv"}
    (warning,) = understood(town(mobility=mobility)).warnings
    assert "flows (1).csv is named as a copy of" in warning
    (folder / "flows (1).csv").write_bytes((folder / "flows.csv").read_bytes())
    assert understood(town(mobility=mobility)).warnings == ()


def test_days_to_come_are_bad_where_a_window_takes_its_days_from_rows(town: Callable[..., Path]) -> None:
    rows = [f"P{number:02},P03,1,2024-01-{number + 1:02}\n" for number in range(20)]
    flows = "from,to,flow,day\n" + "".join(rows) + "P01,P02,1,9999-12-31\n"
    columns = {**REGION["mobility"]["columns"], "time": "day"}
    mobility = {**REGION["mobility"], "columns": columns, "window": {"weeks": 2}}
    with pytest.raises(UserError, match="time after the file was written: 1"):
        understood(town({"flows.csv": flows}, mobility=mobility))
    assert counts(
        understood(town({"flows.csv": flows}, mobility={**mobility, "maximum_bad_share": 0.1})), "mobility"
    ) == {
        "": 20,
        "time after the file was written": 1,
    }
