"""From an exception to one sentence and an exit code."""

import sys
import traceback
from collections.abc import Callable


def run_and_exit(call: Callable[[], object], debug: bool) -> None:
    """Run `call`; print what stops it as one sentence on stderr and exit with its code (2: the input, 1: the rest)."""
    from adapterxfer.errors import AdapterxferError

    try:
        call()
    except AdapterxferError as error:
        _stop(str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        _stop("stopped; a run that had begun can be continued with --resume.", 1, debug)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone; there is nobody to tell
        raise SystemExit(1) from None
    except MemoryError:
        _stop("out of memory; lower --token-budget or --max-examples.", 1, debug)
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        _stop(f"{name}{error.strerror or error}.", 1, debug)
    except Exception as error:
        _stop(f"unexpected {type(error).__name__}: {_one_line(error)} (--debug shows where).", 1, debug)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or "no message"


def _stop(sentence: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    sys.stderr.write(f"adapterxfer: {sentence}\n")
    raise SystemExit(code)
