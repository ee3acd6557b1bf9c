"""The user's mistake behind an exception of Spark, in one sentence."""

import pytest

from spark_jobs.errors import as_user_error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RuntimeError("java.io.IOException: No space left on device"), "The disk is full"),
        (RuntimeError("Traceback …\nspark_jobs.errors.UserError: x.parquet is odd.\n\tat org"), "x.parquet is odd."),
        (RuntimeError("[PATH_NOT_FOUND] Path does not exist: file:/data/a%20b.csv."), "/data/a b.csv cannot be read"),
        (
            RuntimeError("[FAILED_READ_FILE.X] Error while reading file file:///data/a.parquet."),
            "/data/a.parquet cannot",
        ),
        (
            RuntimeError('java.io.IOException: No FileSystem for scheme "s3a"\n\tat org.apache'),
            "Spark itself cannot open addresses like s3a://…: No FileSystem for scheme",
        ),
    ],
)
def test_the_users_mistake_is_found_in_an_exception_of_spark(error: Exception, told: str) -> None:
    assert str(as_user_error(error)).startswith(told)


def test_our_own_mistake_is_no_mistake_of_the_user() -> None:
    assert as_user_error(KeyError("flow")) is None
