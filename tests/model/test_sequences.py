"""A few hundred random sequences against the model; more of them with ``DCP_MODEL_SEQUENCES``, others with ``DCP_MODEL_SEED``."""

from __future__ import annotations

import os

import pytest

from tests.contract.core_etl.conftest import SPARK

from .actions import Sequence, reproduction
from .compare import MismatchError
from .generate import generate
from .play import Player
from .shrink import shrink

pytestmark = SPARK

SEED = int(os.environ.get("DCP_MODEL_SEED", "0"))
#: So many failures are shrunk; the others are printed as they are.
SHRUNK = 3
SEQUENCES = int(os.environ.get("DCP_MODEL_SEQUENCES", "200"))


def why_not(player: Player, sequence: Sequence) -> str:
    """Play the sequence and return what is wrong; empty when nothing is."""
    try:
        player.play(sequence)
    except MismatchError as error:
        return str(error)
    return ""


_shrunk: list[int] = []


@pytest.mark.parametrize("number", range(SEQUENCES))
def test_the_tables_are_what_the_model_says(player: Player, number: int) -> None:
    sequence = generate(SEED, number)
    why = why_not(player, sequence)
    if why and len(_shrunk) < SHRUNK:
        _shrunk.append(number)
        smallest = shrink(sequence, lambda candidate: bool(why_not(player, candidate)))
        again = why_not(player, smallest)
        if again:
            sequence, why = smallest, again
        else:
            why += " (when it is played again it succeeds: it depends on something else)"
    if why:
        pytest.fail(f"sequence {number} of seed {SEED}: {why}\n\n{reproduction(sequence)}", pytrace=False)
