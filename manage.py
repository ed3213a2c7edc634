#!/usr/bin/env python
"""Django's command line. Wrong configuration stops it with exit code 2 and one clear message."""

import os
import sys


def main() -> None:
    if sys.argv[1:2] == ["demo"]:
        # Settings of its own, before any are read: the demo never meets an installation's.
        from demo.environment import enter

        enter(sys.argv[2:])
    from loanpoll_site.garbage import look_seldom

    look_seldom()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "loanpoll_site.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        sys.stderr.write(f"Configuration error: {exc}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. What was begun is kept; the next run goes on from there.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
