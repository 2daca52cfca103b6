"""`python -m thermogen` is the `thermogen` command."""

from thermogen.cli import main

if __name__ == "__main__":
    main()
