"""Everything a caller of the server needs."""
