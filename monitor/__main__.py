"""`pantau`, and `python -m monitor`: heeds signals before it loads the rest, which takes a second."""

import gc
import sys

from monitor.signals import end_while_loading, loaded


def main() -> None:
    """Run the command line."""
    end_while_loading(sys.argv[1:])
    gc.disable()
    from monitor.cli import main as command

    gc.freeze()  # what is loaded stays: no collection looks through it again
    gc.enable()
    loaded()
    command()


if __name__ == "__main__":
    main()
