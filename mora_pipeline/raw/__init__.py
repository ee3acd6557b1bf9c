"""Raw tables as they lie, read in Arrow: dialects, numbers, times, expressions, folders, geometry."""
