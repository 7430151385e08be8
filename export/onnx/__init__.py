"""Quantized networks as ONNX models."""
