"""Runs as processes: who makes a region, whether it still lives, and what is left to clear up when it does not.

Nothing here knows Dagster; `mora_pipeline.defs` ties it to Dagster's runs.
"""

TOKEN = "MORA_RUN_TOKEN"  # the environment variable that marks every process of a run
TOKEN_TAG = "mora/token"  # of a run in Dagster: the same token
PROCESS_TAG = "mora/process"  # of a run in Dagster: the process that carries it out (`Process.text`)
PARTITION_TAG = "dagster/partition"  # of a run in Dagster: its region
