"""The description of a small region of trips, which many tests fill with files of their own."""

REGION_YAML = """
region: {name}
resolution: 7
mobility:
  kind: trips
  path: trips.csv
  columns: {{origin_latitude: a, origin_longitude: b, destination_latitude: c, destination_longitude: d}}
"""
