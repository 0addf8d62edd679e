"""Every family by its name: the class `LowRank` of `mmdiag/fusion/low_rank.py` is `low_rank`."""

from importlib import import_module

from mmdiag.config import FUSION_FAMILIES, FusionRole
from mmdiag.fusion.base import Fusion


def family_of(name: str, role: FusionRole) -> type[Fusion]:
    """The class of a family, held to the role that `mmdiag.config.FUSION_FAMILIES` gives it.

    Raises:
        TypeError: The module has no such class, or the class has not the methods of its role.
    """
    wanted = "".join(word.capitalize() for word in name.split("_"))
    family = getattr(import_module(f"mmdiag.fusion.{name}"), wanted, None)
    if not (isinstance(family, type) and issubclass(family, Fusion)):
        raise TypeError(
            f"The family {name!r} must be a subclass of Fusion by the name {wanted} in "
            f"mmdiag/fusion/{name}.py, which has none: name it so."
        )
    for method, needs in (("exchange", FusionRole.EXCHANGES), ("fit_stacking", FusionRole.STACKS)):
        overridden = getattr(family, method) is not getattr(Fusion, method)
        if overridden is not (role is needs):
            raise TypeError(
                f"A family that {needs.name.lower()}, and no other, has `{method}`; {name!r} "
                f"{role.name.lower()} and {'has one' if overridden else 'has none'}: correct its "
                "role in mmdiag/config/fusion.py, or the class."
            )
    return family


FUSIONS: dict[str, type[Fusion]] = {
    name: family_of(name, role) for name, role in FUSION_FAMILIES.items()
}
