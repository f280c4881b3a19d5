"""What the scripts here share: their settings come in the environment, a failed check ends them with exit 1."""

import logging
import os
import sys


def setting(name):
    """The environment variable `name`, which the test must have set."""
    value = os.environ.get(name)
    if not value:
        sys.exit(f"FAILED: the variable {name} is not set")
    return value


def check(holds, what):
    """Prints `what`, and ends the script where it does not hold."""
    if not holds:
        sys.exit(f"FAILED: {what}")
    print(f"ok: {what}")


def raises(kind, call):
    """The exception of class `kind` that `call` must raise."""
    try:
        result = call()
    except kind as error:
        return error
    except Exception as error:
        sys.exit(f"FAILED: {kind.__name__} was due, {type(error).__name__} came: {error}")
    sys.exit(f"FAILED: {kind.__name__} was due, an answer came: {result}")


def keep_log():
    """The list that everything logged from now on, at INFO and above, is put into."""

    class Kept(logging.Handler):
        records = []

        def emit(self, record):
            self.records.append(record)

    kept = Kept()
    logging.basicConfig(level=logging.INFO, handlers=[kept])
    return kept.records
