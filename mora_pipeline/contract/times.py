"""How a moment is written as text. The patterns mean the same to Python (with `re.ASCII`) and to Spark's ``rlike``."""

WRITTEN_EPOCH = r"^\s*\d{9,}(\.\d+)?\s*$"  # since 1970, UTC
WRITTEN_ZONE = r"(?i)\d:\d{2}.*(z|utc|gmt|[+-]\d{1,2}(:?\d{2})?|[a-z]+/[a-z_]+)\s*$"  # a time of day, and its zone
