"""The pipeline as data, below everything else: steps, tensors, ensembles, and how tensors pass between them."""
