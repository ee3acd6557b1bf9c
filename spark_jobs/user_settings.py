"""The settings of Spark that a user gives by ``MORA_SPARK_CONF``; without pyspark, so that a parent may read them."""

import json
import os

from mora_pipeline.contract.errors import UserError


def settings_of_user() -> dict[str, str]:
    """``MORA_SPARK_CONF`` as strings, the way Spark takes them."""
    text = os.environ.get("MORA_SPARK_CONF", "") or "{}"
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise UserError(f'MORA_SPARK_CONF is not JSON ({error}): say {{"spark.master": "local[4]"}}.') from None
    if not isinstance(settings, dict) or not all(key.startswith("spark.") for key in settings):
        raise UserError(f'MORA_SPARK_CONF must be an object of spark.* settings ({{"spark.master": …}}), not {text}.')
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in settings.items()}
