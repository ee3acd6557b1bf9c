"""The pages of the UI that people use, in a browser: what they show of a home with a little history."""

import json
import urllib.request
from typing import Any

from tests.ui.conftest import Served


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


def graphql(ui: Served, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{ui.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer)["data"])
