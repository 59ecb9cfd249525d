"""BERT with a question answering head."""
