"""What Spark jobs and the pipeline agree on: schemas, errors, files that are replaced in one step."""
