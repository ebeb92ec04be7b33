"""No path leaves a site without a primary contact: random acts of many at once, looked at after every round.

``SIMULATION_ROUNDS`` and ``SIMULATION_SEEDS`` play longer by hand; with the same seed the dice fall alike.
"""

import os
import time

import pytest

from tests.mutations import MUTATIONS
from tests.simulation_rules import simulate
from tests.world import World

ROUNDS = int(os.environ.get("SIMULATION_ROUNDS", "25"))
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "1"))


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_whatever_people_do_every_site_stays_whole(world: World, seed: int) -> None:
    started = time.monotonic()
    simulation = await simulate(world, seed, ROUNDS)
    outcomes = simulation.outcomes
    print(f"seed {seed}: {outcomes.total()} acts in {time.monotonic() - started:.0f} s")
    for outcome, count in sorted(outcomes.items()):
        print(f"{count:7} {outcome}")
    assert {name for name, _ in simulation.acts} >= set(MUTATIONS)
    # It would prove nothing if everything was refused.
    assert simulation.never_done == set()
