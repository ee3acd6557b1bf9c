"""One query on Sail, the Spark Connect server in Rust: a program for an interpreter that has pysail and pyspark-client.

python sail.py FOLDER_OF_EDGES QUERY_OF_edges TARGET_FOLDER
"""

import sys

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession


def main() -> None:
    source, query, target = sys.argv[1:]
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    spark.read.parquet(source).createOrReplaceTempView("edges")
    spark.sql(query).write.mode("overwrite").parquet(target)
    spark.stop()
    server.stop()


if __name__ == "__main__":
    main()
