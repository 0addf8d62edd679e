"""Every kind has every facet, each of which is a function that is there and takes what it is given;
nothing that is unknown passes as a table.
"""

import dataclasses
import inspect

import pytest

from mmdiag.application_root import application_root
from mmdiag.config import RunConfig
from mmdiag.contracts.contract import PACKAGED
from mmdiag.errors import UnknownNameError
from mmdiag.kinds import KINDS, Function, Kind, kind_named
from mmdiag.kinds.kind import ARGUMENTS, LAYOUTS

FACETS = [field.name for field in dataclasses.fields(Kind)]


def arguments_of(function):
    return tuple(name.lstrip("_") for name in inspect.signature(function).parameters)


@pytest.mark.parametrize("facet", sorted(ARGUMENTS))
@pytest.mark.parametrize("name", KINDS)
def test_every_facet_of_every_kind_is_there_and_takes_its_arguments(name, facet):
    function = getattr(KINDS[name], facet)
    if function is None:
        assert "None" in str(Kind.__dataclass_fields__[facet].type), f"{name} must have {facet}"
        return
    assert arguments_of(function.resolve()) == ARGUMENTS[facet], f"{facet} of {name}"


@pytest.mark.parametrize("name", KINDS)
def test_every_key_of_every_kind_is_checked_by_a_function(name):
    for key, check in KINDS[name].keys.items():
        assert arguments_of(check.resolve()) == ("section", "key", "heading", "where"), key


def test_every_function_of_a_kind_has_its_arguments_listed():
    functions = {
        field.name
        for field in dataclasses.fields(Kind)
        if "Function" in str(field.type) and field.name != "keys"
    }
    assert functions == set(ARGUMENTS)


@pytest.mark.parametrize("facet", FACETS)
def test_a_kind_without_one_facet_is_refused_by_its_name(facet):
    values = {name: getattr(KINDS["signal"], name) for name in FACETS if name != facet}
    with pytest.raises(TypeError, match=facet):
        Kind(**values)


@pytest.mark.parametrize("name", KINDS)
def test_what_a_kind_says_in_words_is_known(name):
    kind = KINDS[name]
    assert kind.name == name and kind.layout in LAYOUTS and kind.drawn_as in KINDS
    assert kind.contract in PACKAGED
    assert (application_root() / "data_contracts" / f"{kind.contract}.yaml").is_file()
    assert kind.settings is None or dataclasses.is_dataclass(getattr(RunConfig(), kind.settings))
    assert (kind.pretraining is None) == (kind.load_pretrained is None)
    assert (kind.layout == "row") == (kind.columns is not None)


def test_a_function_is_imported_when_it_is_called_and_not_before():
    assert Function("json:dumps")({"a": 1}) == '{"a": 1}'
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        Function("nowhere:at_all")()


def test_a_kind_that_is_not_known_is_an_error_wherever_it_is_asked_for(tmp_path):
    from mmdiag.prepare import extractor, fit_preparation, make_encoder
    from mmdiag.prepare.preparation import Preparation
    from mmdiag.tuning.space import default_space

    config = RunConfig()
    for ask in (
        lambda: kind_named("video"),
        lambda: extractor("video", config),
        lambda: fit_preparation("video", [], config),
        lambda: make_encoder(Preparation(kind="video"), config),
        lambda: default_space(config, ["image", "video"]),
    ):
        with pytest.raises(UnknownNameError, match="found 'video'"):
            ask()
