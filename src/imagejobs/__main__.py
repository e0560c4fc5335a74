"""`python -m imagejobs` is the command `imagejobs`."""

from imagejobs.cli.main import run

if __name__ == "__main__":
    run()
