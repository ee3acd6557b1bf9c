"""Whether the hub can be reached is decided before minutes of retries."""

import socket
from typing import Any

import pytest

from mora_pipeline.modalities.weights import hub_is_out_of_reach

VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"]
PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "is_out_of_reach"),
    [
        ({}, True),
        ({"NO_PROXY": "localhost"}, True),
        ({"HTTP_PROXY": PROXY}, True),  # the hub is asked by https
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "huggingface.co"}, True),
        ({"HTTPS_PROXY": PROXY}, False),
        ({"ALL_PROXY": PROXY, "NO_PROXY": "localhost"}, False),
    ],
)
def test_a_machine_without_a_network_is_offline_unless_a_proxy_serves_the_hub(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], is_out_of_reach: bool
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    for name in (*VARIABLES, *map(str.upper, VARIABLES), "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://huggingface.co")
    monkeypatch.setattr(socket, "create_connection", refused)
    assert hub_is_out_of_reach() is is_out_of_reach
