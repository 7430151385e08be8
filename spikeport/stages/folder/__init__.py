"""What lies in the folder of a run: names, what each result was made of, who may replace it, the
report written whole.
"""
