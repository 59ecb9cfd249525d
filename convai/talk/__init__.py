"""A page to talk to, and the interfaces that other tools speak, in one web process beside the server."""
