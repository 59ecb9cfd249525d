"""Estimates the n-gram model of the beam search."""
