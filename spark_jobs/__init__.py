"""Spark jobs from raw records to cells, edges and the sampled graph: pyspark, pyarrow and h3 only."""
