"""Becomes the command in its arguments, but so that it dies with the supervisor that started it.

``python -I -S local_exec.py <supervisor's pid> <command> ...``. A file of its own, run without site packages, because a supervisor
has threads and must not run Python between fork and exec.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process's life to its parent's, then become the command."""
    supervisor, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The supervisor may have died before the line above; elsewhere than on Linux its next observer ends what is left.
    if os.getppid() != supervisor:
        os._exit(137)
    os.execvp(command[0], command)  # noqa: S606 - the command is the supervisor's own


if __name__ == "__main__":
    main()
