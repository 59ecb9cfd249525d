"""One module per Python step of the pipeline."""
