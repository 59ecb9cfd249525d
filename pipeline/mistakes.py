"""Whose mistake it is: what a caller can put right has a class of its own; whatever else is raised is a bug of ours."""


class CallerMistake(ValueError):
    """What was asked, given or configured is not allowed; the message names what was got and what is allowed.

    The caller is whoever sent the request to a step, called the function, or typed the command. He reads the message
    as it is; hence it tells nothing that is only ours.

    A ValueError, because that is what Python's own functions raise then, and what programs that call ours catch.
    The other way round does not hold: NumPy raises ValueErrors too, so nothing of ours may take one for a mistake.
    """
