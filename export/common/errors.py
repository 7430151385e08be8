"""The errors that people meet: their input was wrong, a file could not be written, or a backend failed."""


class InputError(ValueError):
    """Bad input, told in one line: what is wrong, where, the limit, and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """


class OutputError(InputError):
    """A result that could not be written, told in one line; nothing half-written is left.

    The disk is full, the place is read-only, or the folder is gone. The command line exits with status 2.
    """


class BackendError(RuntimeError):
    """A backend failed or stood still while running a network that is valid; says which, where and when in one line.

    The command line prints it without a traceback and exits with status 1.
    """
