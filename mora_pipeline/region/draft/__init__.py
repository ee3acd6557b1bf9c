"""What a folder of raw data holds, and the first region.yaml that says so."""
