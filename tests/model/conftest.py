"""Every family, and a chain of all kinds, for tests that take a `fusion`."""


def pytest_generate_tests(metafunc):
    """Every family, and a chain of all kinds."""
    from mmdiag.config import FUSION_FAMILIES

    if "fusion" in metafunc.fixturenames:
        metafunc.parametrize("fusion", [*FUSION_FAMILIES, "cross_modal+modality_attention+late"])
