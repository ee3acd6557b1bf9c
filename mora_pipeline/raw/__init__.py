"""One reader for all raw tables: files in the shapes that people have them, into Arrow batches of known types."""
