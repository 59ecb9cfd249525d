"""Text normalisation: written text becomes the words that are said. Shared by steps, client and training."""
