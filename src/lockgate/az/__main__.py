"""`python -m lockgate.az`."""

import sys

from lockgate.az.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
