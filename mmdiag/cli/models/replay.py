"""`mmdiag score --replay`: a recorded answer once more."""

from pathlib import Path

import click

from mmdiag.cli.context import Answer, Context, read_and_check


def replay_answer(context: Context, case_id: str, bundle: str | None, cohort: Path | None) -> int:
    """Answer with a recorded answer once more, beside the record; returns the exit code, 1 where
    the two differ.

    Raises:
        UsageError: No model is named, or it has no such answer on record.
    """
    from mmdiag import api
    from mmdiag.cli.show import show_lines

    if not bundle:
        raise click.UsageError("Missing option '--bundle': an answer is replayed by its model.")
    folder = api.bundle_folder(context.workspace, bundle)
    name = read_and_check(cohort).name if cohort else ""
    found = api.replay(folder, context.workspace, context.ledger_to_read(), case_id, name)
    status = "done" if found["same"] else "failed"
    answer = context.answer("score", **found) | {"status": status}
    context.emit(answer, lambda done: show_lines(_lines(done)))
    return 0 if found["same"] else 1


def _lines(answer: Answer) -> list[str]:
    """The answer beside the record."""
    same = "the answer is the same" if answer["same"] else "THE ANSWER IS NOT THE SAME"
    shown = [
        f"{name}: {answer[name]} now, {answer['recorded'][name]} on record"
        for name in answer
        if name.startswith("probability")
    ]
    return [*shown, f"Case {answer['case_id']} by {answer['bundle_id']}: {same}."]
