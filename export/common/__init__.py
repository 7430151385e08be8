"""What every folder shares: the one error a user can cause, files written whole, progress, members
of HDF5 files.
"""
