"""A spoken question in, a spoken answer out: the command line of the whole pipeline."""
