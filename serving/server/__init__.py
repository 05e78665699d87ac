"""The embedded server: TensorFlow Serving's API over SavedModels, on one machine.

Start it with `python -m serving.server`; nothing is imported here, so that its options can be read without TensorFlow.
"""
