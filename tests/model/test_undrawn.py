"""The form of a network is told without drawing its weights, and without torch's compiler."""

import subprocess
import sys

import pytest

from mmdiag.fusion import FUSIONS, FusionConfig
from mmdiag.model.undrawn import form_of

FORMS = """
import sys
from mmdiag.fusion import FUSIONS, FusionConfig
from mmdiag.model.undrawn import form_of
for name in FUSIONS:
    form_of(lambda: FUSIONS[name](["a", "b", "c"], FusionConfig(width=8)))
    print(name, [m for m in ("torch._dynamo", "sympy") if m in sys.modules])
"""


@pytest.mark.parametrize("family", FUSIONS)
def test_a_form_is_that_of_the_network(family: str) -> None:
    def make():
        return FUSIONS[family](["a", "b", "c"], FusionConfig(width=8))

    whole, form = make().state_dict(), form_of(make)
    assert {name: (value.shape, value.dtype) for name, value in whole.items()} == {
        name: (value.shape, value.dtype) for name, value in form.items()
    }
    assert {value.device.type for value in form.values()} == {"meta"}


def test_no_family_loads_the_compiler_to_tell_its_form() -> None:
    done = subprocess.run([sys.executable, "-c", FORMS], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.splitlines() if not line.endswith("[]")] == []
