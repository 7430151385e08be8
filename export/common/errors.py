"""The errors that people meet: their input was wrong, or a backend failed."""


class InputError(ValueError):
    """Bad input, told in one line: what is wrong, where, the limit, and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """


class BackendError(RuntimeError):
    """A backend failed or stood still while running a network that is valid; says which, where and when in one line.

    The command line prints it without a traceback and exits with status 1.
    """
