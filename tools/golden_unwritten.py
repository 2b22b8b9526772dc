#!/usr/bin/env python3
"""golden_unwritten.py OUT.h5: a batch for --replay whose datasets have sizes and no data.

HDF5 reads what was never written as zeros, here 5.9 GB of them from a file of 2 KB.
"""
import sys

import h5py

with h5py.File(sys.argv[1], "w", libver="earliest") as f:
    f.create_dataset("img", (2, 1, 512, 512, 512), "f4")
    f.create_dataset("crops", (9, 1, 512, 512, 512), "f4")
    f.create_dataset("labels", (1, 2, 9), "f4")
