"""`pantau`, and `python -m monitor`: heeds signals before it loads the rest, which takes a second."""

import sys

from monitor.signals import end_while_loading, loaded


def main() -> None:
    """Run the command line."""
    end_while_loading(sys.argv[1:])
    from monitor.cli import main as command

    loaded()
    command()


if __name__ == "__main__":
    main()
