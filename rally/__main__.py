"""`python -m rally`: the command itself, where the script is not on the path."""

from rally.relay import main

if __name__ == "__main__":
    main()
