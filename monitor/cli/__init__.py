"""`pantau …`: the command line. Exit 0: done; 1: something failed and is named; 2: bad usage or configuration."""

from __future__ import annotations

import os
import sys

from sqlalchemy.exc import SQLAlchemyError

from monitor.cli import (  # noqa: F401 (each adds its commands)
    alerts,
    answers,
    audit,
    backtest,
    canary,
    certificate,
    coverage,
    daemon,
    learning,
    mail,
    posts,
    register,
    retention,
    rulebook,
    rules,
    setup,
)
from monitor.cli.root import app
from monitor.cli.terminal import err, out
from monitor.problems import ConfigurationError
from monitor.store.database import DatabaseBusyError, DatabaseUnusableError, explained

__all__ = ["app", "err", "main", "out"]


def main() -> None:
    """Run a command and turn what went wrong into a sentence and an exit code."""
    try:
        app()
    except ConfigurationError as error:
        for problem in error.problems:
            err.print(str(problem))
        sys.exit(2)
    except (DatabaseBusyError, DatabaseUnusableError) as error:
        err.print(str(error))
        sys.exit(1)
    except SQLAlchemyError as error:
        err.print(explained(error))
        sys.exit(1)
    except BrokenPipeError:  # `pantau posts list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
