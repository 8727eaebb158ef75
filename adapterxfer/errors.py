"""What can go wrong, in one clear sentence each.

The command line prints the sentence and exits with the class's code; `--debug` shows the traceback.
"""


class AdapterxferError(Exception):
    """Base of every error a person is meant to read. The message is one sentence: what, where, and what to do."""

    exit_code = 1


class UserError(AdapterxferError):
    """The input is wrong: an unknown name, a malformed file (named with its line), an option that cannot hold."""

    exit_code = 2


class RunError(AdapterxferError):
    """Anything else that stopped the work: a NaN loss, a full disk, no network and no cache."""

    exit_code = 1
