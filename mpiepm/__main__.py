"""``python -m mpiepm`` is the same as ``mpiepm``."""

from mpiepm.cli import main

if __name__ == "__main__":
    main()
