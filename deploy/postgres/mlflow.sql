-- Run once, when the database folder is still empty; the database of Dagster is POSTGRES_DB.
CREATE DATABASE mlflow;
