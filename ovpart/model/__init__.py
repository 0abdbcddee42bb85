"""ONNX in: reading, validating, typing; nothing here knows engines, devices or support."""
