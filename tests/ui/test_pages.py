"""The pages of the UI that people use, in a browser: what they show of a home with a little history."""

import json
import urllib.request
from typing import Any

from mora_pipeline.commands.instance import REGIONS, dagster_instance
from tests.ui.conftest import Served, region_folder

JOBS = "/locations/mora_pipeline.definitions/jobs"


def test_a_partition_shows_its_picture_at_once_and_figures_of_few_digits(page: Any) -> None:
    page.goto("/assets/embeddings?view=partitions&partition=north")
    picture = page.get_by_role("img", name="map", exact=True)
    picture.wait_for()
    assert picture.evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 120
    page.get_by_text("0.9877", exact=True).wait_for()


def test_a_check_has_a_status_of_its_own_for_each_region(page: Any, ui: Served) -> None:
    query = """query { assetCheckExecutions(assetKey: {path: ["embeddings"]}, checkName: "not_collapsed", limit: 9)
               { evaluation { success partition } } }"""
    told = graphql(ui, query)["assetCheckExecutions"]
    assert {item["evaluation"]["partition"]: item["evaluation"]["success"] for item in told} == {
        "north": True,
        "south": False,
    }
    page.goto("/assets/embeddings?view=checks&checkDetail=not_collapsed")
    page.get_by_text("Latest execution").wait_for()
    page.get_by_text("south", exact=True).first.wait_for()
    page.get_by_text("0.1235", exact=True).wait_for()
    page.get_by_role("tab", name="Partitions").last.wait_for()


def test_columns_say_what_they_hold(page: Any) -> None:
    page.goto("/assets/embeddings?view=overview")
    page.get_by_text("Latitude of the cell's centre (degrees north, WGS 84).").wait_for()


def test_a_refused_folder_is_a_failed_check_with_the_reason(page: Any) -> None:
    page.goto("/assets/new_folders?view=checks")
    page.get_by_text("1 not right: town").wait_for()
    page.get_by_text("region is 'city', but the folder is 'town'").wait_for()


def test_a_form_adds_a_region_and_names_what_it_lacks(page: Any, ui: Served) -> None:
    page.goto(f"{JOBS}/add_region/playground")
    page.get_by_text('Missing required config entry "path"').wait_for()
    launch = page.get_by_role("button", name="Launch Run")
    assert launch.is_disabled()
    new = region_folder(ui.home / "raw" / "west", "west")
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(json.dumps({"ops": {"add": {"config": {"path": str(new)}}}}))
    page.get_by_text('Missing required config entry "path"').wait_for(state="hidden")
    launch.click()
    page.wait_for_url("**/runs/**")
    page.get_by_text("Added west: resolution 7").first.wait_for()
    with dagster_instance() as instance:
        assert "west" in instance.get_dynamic_partitions(REGIONS)


def graphql(ui: Served, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{ui.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer)["data"])
