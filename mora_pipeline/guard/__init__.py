"""What stands before a web page that starts runs: who may ask it, under which name, from which page."""

from mora_pipeline.guard.hosts import HOSTS_VARIABLE, AllowedHosts
from mora_pipeline.guard.middleware import Guard

__all__ = ["HOSTS_VARIABLE", "AllowedHosts", "Guard"]
