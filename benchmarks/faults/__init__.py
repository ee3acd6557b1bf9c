"""What becomes of runs that are killed, raced, or out of disk: done for real, on a region of 36 cells.

``python -m benchmarks.faults --kills 200``; each kind of fault is in `kinds`. After each, the next command must succeed
by itself, whoever read the lake meanwhile must have seen whole versions, and nothing may be left: no slot of a pool, no
process, no temporary file. The last line is JSON that sums it up.
"""
