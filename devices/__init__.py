"""One edge device: data, meta-learning, sparsification with memory, transmission. May import calibration and radio."""
