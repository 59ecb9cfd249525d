"""The four networks, one folder each, and what is done with them: exported, read, deployed, trained."""
