"""Tallies that Spark's tasks send to the driver."""

from pyspark.accumulators import Accumulator, AccumulatorParam

from mora_pipeline.raw.tallies import Tally


class BySplit(AccumulatorParam[dict[int, Tally]]):
    """Tallies by split: a split that Spark reads again counts once."""

    def zero(self, value: dict[int, Tally]) -> dict[int, Tally]:
        return {}

    def addInPlace(self, value1: dict[int, Tally], value2: dict[int, Tally]) -> dict[int, Tally]:  # noqa: N802
        value1.update(value2)
        return value1


Tallies = Accumulator[dict[int, Tally]]
