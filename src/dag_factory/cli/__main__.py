"""``python -m dag_factory.cli`` is ``pretzel``."""

from __future__ import annotations

import sys

from dag_factory.cli import main

sys.exit(main())
