"""`python -m rally.daemon`: serve this user's rooms in the foreground."""

import sys

from rally.daemon.main import main

sys.exit(main(sys.argv[1:]))
