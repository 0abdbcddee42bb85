"""The official backend tests of onnx, run on ovpart and on the engines beside it."""
