"""Serving: an embedded server that speaks TensorFlow Serving's gRPC API, and a client without TensorFlow.

`serving.client.Client` asks any TensorFlow Serving server; `python -m serving.server` is one. Nothing is imported here,
so that the client starts fast.
"""
