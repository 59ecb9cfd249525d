"""Choices that are made by measuring: score calibration, beam search weights, threads and processes."""
