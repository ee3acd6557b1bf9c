"""MoRA Pipeline: one vector per H3 cell from mobility, text, imagery and tables."""

import os

# Waiting threads of OpenMP (torch, LightGBM) sleep instead of spinning, in this process and its children: an epoch of
# us_east that takes 10 s alone took 60 s beside one other busy process while they spun. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
