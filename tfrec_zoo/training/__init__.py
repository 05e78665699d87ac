"""Training: the loop, its optimizer, its progress, callbacks for Keras users."""
