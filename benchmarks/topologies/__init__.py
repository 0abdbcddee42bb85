"""The networks on which openvino's provider for onnxruntime is validated, built with random weights and run."""
