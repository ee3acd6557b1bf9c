"""Raw data as it lies: files in any dialect, compression and layout, read into Arrow batches."""
