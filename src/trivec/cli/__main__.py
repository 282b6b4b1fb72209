"""``python -m trivec.cli``: the command, where it is not on the path."""

from trivec.cli import program

if __name__ == "__main__":
    program()
