"""Numbers of the default weights that are chosen by measuring."""
