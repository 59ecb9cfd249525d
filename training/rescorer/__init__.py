"""The language model that rescores beam search's hypotheses: its network, its texts, its training."""
