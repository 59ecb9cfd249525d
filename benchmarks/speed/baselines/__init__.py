"""Other ways to serve the pipeline on a CPU, each set up as well as we know: the same networks, glue and weights."""
