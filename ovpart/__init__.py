"""Runs ONNX models on Intel devices, split between OpenVINO and ONNX Runtime, and explains every node's place."""
