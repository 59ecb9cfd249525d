"""What is heard, answered and spoken, and how rightly."""
