"""Files that have an address (``s3a://bucket/trips.parquet``): only Spark's JVM can open them."""

from pyspark.sql import SparkSession


def is_remote(file: str) -> bool:
    return "://" in file


def size_in_bytes(spark: SparkSession, file: str) -> int:
    path = spark._jvm.org.apache.hadoop.fs.Path(file)
    return int(path.getFileSystem(spark._jsc.hadoopConfiguration()).getFileStatus(path).getLen())


def columns_in_nanoseconds(spark: SparkSession, file: str) -> list[str]:
    """The columns of a Parquet file with nanoseconds without a zone: Spark's own schema calls them whole numbers."""
    reader, path = spark._jvm.org.apache.parquet.hadoop.ParquetFileReader, spark._jvm.org.apache.hadoop.fs.Path(file)
    schema = reader.readFooter(spark._jsc.hadoopConfiguration(), path).getFileMetaData().getSchema()
    kinds = {column.getName(): column.getLogicalTypeAnnotation() for column in schema.getFields()}
    return [name for name, kind in kinds.items() if kind is not None and kind.toString() == "TIMESTAMP(NANOS,false)"]
