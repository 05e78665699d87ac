"""Export: a trained model as a SavedModel that TensorFlow Serving runs, and the gate before it is published."""
