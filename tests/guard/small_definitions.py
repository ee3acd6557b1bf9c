"""One job that does nothing, for a UI that starts quickly."""

import dagster as dg


@dg.op
def rest() -> None:
    return


@dg.job
def work() -> None:
    rest()


@dg.asset
def thing() -> None:
    return


defs = dg.Definitions(assets=[thing], jobs=[work])
