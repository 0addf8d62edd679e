"""The command that judges a bundle on labelled cases that it has not seen."""

from pathlib import Path

import click

from mmdiag.cli.context import Context, exit_code, read_and_check, titles, with_context
from mmdiag.cli.options import cohort_option


@click.command(short_help="Judge a bundle on labelled cases that it has not seen.")
@click.option(
    "--bundle",
    required=True,
    metavar="BUNDLE",
    help="A trained bundle: its id in the workspace, or its folder.",
)
@cohort_option
@with_context
def validate(context: Context, bundle: str, cohort: Path) -> int:
    """Judge a bundle on the labelled cases of a cohort whose subjects it did not learn from; what
    is new in the cohort is ingested first.

    Subjects of the bundle's training are left out and counted. Nothing is recorded as a prediction
    in use: `mmdiag score` does that.

    \b
    Examples:
      mmdiag validate --bundle b-3f9c1d20a1b2 --cohort other_site.toml
      mmdiag validate --bundle bundles/b-3f9c1d20 --cohort other_site.toml --json
    """
    from mmdiag import api
    from mmdiag.cli.progress import stages
    from mmdiag.cli.show import show_validation

    folder = api.bundle_folder(context.workspace, bundle)
    description = read_and_check(cohort)
    opened = api.open_bundle(folder, description, context.existing_ledger())
    api.require_judgeable(opened, description, context.workspace)
    with stages() as progress:
        result = api.validate(
            opened, description, context.workspace, context.ledger(), progress=progress
        )
    answer = context.answer("validate", **result)
    context.emit(answer, lambda done: show_validation(done, titles(description)))
    return exit_code(answer)
