"""Raw data as it lies: files, dialects, times, expressions and geometries, read in Arrow.

It needs numpy and pyarrow alone; what a rarer format needs is imported where that format is read.
"""
