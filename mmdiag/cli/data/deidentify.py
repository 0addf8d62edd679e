"""The command that de-identifies a folder: deidentify."""

from pathlib import Path

import click

from mmdiag.cli.context import Answer, Context, with_context


@click.command(short_help="Write a copy of images and notes without identifiers.")
@click.argument("source", metavar="IN", type=click.Path(exists=True, path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--blank-top",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="SHARE",
    help="Black out this share of every image's height from its top, and so take images that may "
    "show text there.",
)
@with_context
def deidentify(context: Context, source: Path, target: Path, blank_top: float) -> int:
    """Write what is below IN to OUT without identifiers: DICOM images rebuilt from an allow-list,
    notes (.txt) masked. What is neither is refused and listed.

    The same key gives the same pseudonyms, and dates that keep their intervals. It lies in
    ~/.config/mmdiag/key [env: MMDIAG_KEY_FILE], is made at the
    first use, and undoes the pseudonyms: keep it, and never hand it on with OUT. No masking of
    notes is complete: read a sample before you share them.

    \b
    Examples:
      mmdiag deidentify /data/export /data/clean
      mmdiag deidentify ultrasound/ clean/ --blank-top 0.12
      MMDIAG_KEY_FILE=/secure/study7.key mmdiag deidentify export/ clean/ --json
    """
    from mmdiag.cli.progress import stages
    from mmdiag.deidentify.folder import deidentify_folder
    from mmdiag.privacy.pseudonyms import read_key

    key = read_key(outside=[context.workspace.path, target, source])
    with stages() as report:
        found = deidentify_folder(source, target, key, blank_top=blank_top, progress=report)
    context.emit(
        {
            "out": str(target),
            "dicom": found.dicom,
            "copies": found.copies,
            "notes": found.notes,
            "blank_notes": found.blank,
            "subjects": found.subjects,
            "blanked_top": blank_top,
            "attributes": {
                "kept": found.attributes_kept,
                "dropped": found.attributes_dropped,
                "words_dropped": found.words,
            },
            "uids_replaced": found.uids,
            "dates_shifted": found.dates,
            "masked": dict(found.masked.most_common()),
            "note_words": found.note_words,
            "note_words_masked": found.note_words_masked,
            "notes_with_own_identifiers": found.notes_with_subject_terms,
            "refused": found.refused,
        },
        _show,
    )
    return 3 if found.refused else 0


def _show(answer: Answer) -> None:
    from mmdiag.cli.printed import RESEARCH
    from mmdiag.cli.show import show_lines

    attributes = answer["attributes"]
    lines = [
        f"{answer['dicom']} images of {answer['subjects']} subjects and {answer['notes']} notes "
        f"in {answer['out']}; {len(answer['refused'])} files refused.",
        f"Images: {attributes['kept']} attributes kept, {attributes['dropped']} dropped, "
        f"{answer['uids_replaced']} UIDs replaced, "
        f"{answer['dates_shifted']} dates shifted, {attributes['words_dropped']} words of "
        "descriptions dropped.",
    ]
    if answer["notes"]:
        kinds = (
            ", ".join(f"{count} {kind}" for kind, count in answer["masked"].items()) or "nothing"
        )
        lines.append(
            f"Notes: masked {kinds}; {answer['note_words_masked']} of {answer['note_words']} "
            "words. "
            f"{answer['notes_with_own_identifiers']} of {answer['notes']} notes were searched "
            "for their subject's own identifiers too."
        )
        lines.append("No masking of notes is complete: read a sample before you share them.")
    for refusal in answer["refused"]:
        lines += [
            f"{refusal['path']} · {refusal['code']}: {refusal['fact']}",
            f"  rule: {refusal['rule']}",
            f"  cure: {refusal['cure']}",
        ]
    show_lines([*lines, RESEARCH])
