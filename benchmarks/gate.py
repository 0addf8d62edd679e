"""Is the gate right? Simulated champions and challengers whose true difference is known, 20 fixed
seeds each: `python benchmarks/gate.py` prints how often each decision was made, and ends with 1
where one is not met.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from mmdiag.lifecycle.gate import PROMOTED
from mmdiag.lifecycle.plan import ChangePlan

SIMULATIONS = Path(__file__).parents[1] / "tests" / "support"


def main() -> int:
    """Run every scenario and hold it against what must be decided."""
    sys.path.insert(0, str(SIMULATIONS))
    from gate_builders import BASE, EXPECTED, STEP, decided

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=ChangePlan().resamples)
    asked = parser.parse_args()
    plan = ChangePlan(resamples=asked.resamples)
    print(f"{asked.cases} cases, AUROC {BASE} of the champion, difference {STEP}")
    allowed, met = asked.seeds // 20, True
    for scenario, expected in EXPECTED.items():
        found = Counter(
            decided(scenario, seed, plan, asked.cases).decision for seed in range(asked.seeds)
        )
        right = found[expected] >= asked.seeds - allowed
        if scenario == "equal":
            right = right and found[PROMOTED] <= allowed
        met = met and right
        print(f"{scenario:22} {expected:9} in {found[expected]} of {asked.seeds}", dict(found))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
