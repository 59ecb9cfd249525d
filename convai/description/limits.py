"""What a request may contain at most. Steps, clients and the web process all read these limits."""

MIN_QUESTION_SECONDS = 0.1
MAX_QUESTION_SECONDS = 30.0
MIN_SAMPLE_RATE_HERTZ = 8_000
MAX_SAMPLE_RATE_HERTZ = 48_000
MIN_SPEED, MAX_SPEED = 0.5, 2.0  # of speech, as a ratio to the voice's own tempo
MAX_PAUSE_SECONDS = 10.0  # that SSML asks for, at speed 1
MAX_CONTEXT_BYTES = 32 * 1024  # UTF-8
MAX_TEXT_CHARACTERS = 100_000  # of a text to speak, in a stream
