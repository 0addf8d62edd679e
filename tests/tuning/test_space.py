"""What a search may vary, and what it refuses with the cure."""

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mmdiag.errors import UnknownNameError, UsageError


def test_the_default_space_is_of_the_kinds_that_a_cohort_has():
    from mmdiag import recipes
    from mmdiag.tuning.space import check_space, default_space, own_values

    config = recipes.default(fusion="concat")
    space = default_space(config, ["image", "table"], fusion=True)
    check_space(space, config)
    assert {"image.components", "table.components", "fusion", "training.learning_rate"} < set(
        space
    ) and "text.components" not in space
    assert own_values(space, config)["training.learning_rate"] == config.training.learning_rate
    assert "image.components" not in default_space(recipes.end_to_end(), ["image"]), (
        "a network from scratch keeps no components"
    )


@pytest.mark.parametrize(
    ("name", "values", "kind", "said"),
    [
        (
            "training.learning_rat",
            FloatDistribution(0.1, 0.2),
            UnknownNameError,
            r"did you mean 'training.learning_rate'",
        ),
        ("model", FloatDistribution(0.1, 0.2), UnknownNameError, r"known are"),
        (
            "training.learning_rate",
            FloatDistribution(0.0, 0.2),
            UsageError,
            r"learning_rate must be above 0, found 0.0",
        ),
        ("fusion", CategoricalDistribution(("concat", "stacked")), UnknownNameError, r"'stacked'"),
        (
            "training.focal_gamma",
            FloatDistribution(0, 2),
            UsageError,
            r"it changes the validation loss",
        ),
        (
            "text.encoder",
            CategoricalDistribution(("tfidf",)),
            UsageError,
            r"features that are stored",
        ),
        ("evaluation.folds", IntDistribution(2, 5), UsageError, r"the same for a whole run"),
        (
            "model.dropout",
            (0.0, 0.5),
            UsageError,
            r"must be an optuna.distributions.FloatDistribution.*found tuple",
        ),
    ],
)
def test_a_space_that_is_none_is_refused_with_its_cure(name, values, kind, said):
    from mmdiag.recipes import default
    from mmdiag.tuning.space import check_space

    with pytest.raises(kind, match=said):
        check_space({name: values}, default(fusion="concat"))


def test_values_reach_the_fields_that_they_name():
    from mmdiag.config import varied
    from mmdiag.recipes import default

    found = varied(
        default(fusion="concat"),
        {
            "training.learning_rate": 0.01,
            "training.weight_decay": 0.5,
            "model.width": 64,
            "fusion": "gated",
        },
    )
    assert (
        found.training.learning_rate,
        found.training.weight_decay,
        found.model.width,
        found.fusion,
    ) == (0.01, 0.5, 64, "gated")
    assert (
        found.model.dropout == default(fusion="concat").model.dropout
        and default().fusion == "ensemble"
    )
