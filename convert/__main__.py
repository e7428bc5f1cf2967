"""`python -m convert`: the same as `imgconv`."""

from convert.cli import main

if __name__ == "__main__":
    main()
