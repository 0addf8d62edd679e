"""An unknown name is answered with the nearest known one."""

from mmdiag.errors import UnknownNameError, did_you_mean


def test_the_nearest_known_name_is_asked_for_where_one_is_near():
    assert did_you_mean("aurok", ["auprc", "auroc"]) == "did you mean 'auroc'?"
    assert did_you_mean("idd", iter(["id", "label"])) == "did you mean 'id'?"
    assert did_you_mean("x", ["auroc"]) == ""
    assert did_you_mean("txt", ["text"], cutoff=0.9) == ""


def test_an_unknown_name_names_the_known_ones():
    near = UnknownNameError("A metric", "aurok", ["brier", "auroc"], " in recipe.toml")
    assert str(near) == (
        "A metric must be one of the known ones, found 'aurok' in recipe.toml: did you mean "
        "'auroc'? known are auroc, brier."
    )
    assert str(UnknownNameError("A metric", "x", ["auroc"])).endswith("found 'x': known are auroc.")
