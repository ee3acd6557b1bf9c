"""What Spark jobs and the pipeline share: schemas, errors, atomic files, rows of cells, sampling, constants.

It needs numpy and pyarrow alone: every Spark job carries it to its workers.
"""
