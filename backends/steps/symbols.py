"""The 148 symbols that Tacotron 2 reads, in the order of NVIDIA's checkpoints."""

import string

PADDING = "_"  # never part of a text
PUNCTUATION = "!'(),.:;? "
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = tuple("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split())
STRESSES = ("", "0", "1", "2")  # unmarked, none, primary, secondary

PHONEMES = tuple(sorted([vowel + stress for vowel in VOWELS for stress in STRESSES] + list(CONSONANTS)))
CHARACTERS = (PADDING, "-", *PUNCTUATION, *string.ascii_uppercase, *string.ascii_lowercase)
SYMBOLS = (*CHARACTERS, *(f"@{phoneme}" for phoneme in PHONEMES))  # "@" tells the phoneme B from the letter B
SYMBOL_IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
