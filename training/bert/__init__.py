"""Trains BERT."""
