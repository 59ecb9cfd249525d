"""Spectrograms and mel filters, shared by the steps, the web page and the training."""
