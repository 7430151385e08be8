"""The one error that a user's input can cause."""


class InputError(ValueError):
    """Bad input, told in one line: what is wrong, where, the limit, and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """
