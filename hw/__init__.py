"""Fixed-point execution: reference, engine, Lava and ONNX Runtime, and the proof that they agree.

Knows nothing of training.
"""
