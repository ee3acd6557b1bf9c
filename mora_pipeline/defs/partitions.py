"""Regions: every region is one partition of every asset, added while the system runs."""

import dagster as dg

regions = dg.DynamicPartitionsDefinition(name="regions")
