"""The quality of recognition, answers and speech."""
