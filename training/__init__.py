"""Training of the default weights: recipes, corpora and synthetic speech. Run from a checkout."""
