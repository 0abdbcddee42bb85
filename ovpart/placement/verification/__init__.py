"""Holding plans against onnxruntime: what is compared, how, and what is done about what is wrong."""
