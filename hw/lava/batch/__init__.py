"""Many samples side by side in one run of real Lava processes, so that switching between processes
is paid once for all.
"""
