"""One work on many processes and machines: what is shared out, by what, and how it comes back the
same.
"""
