"""Public functions that put the rooms together: data, networks, training, devices, reports, parts
of one's own.
"""
