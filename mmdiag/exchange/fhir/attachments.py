"""The note that attachments of an export hold, each entered in the account; how they are read is in
`readers.documents.attachments`.
"""

from collections.abc import Sequence

from mmdiag.exchange.fhir.accounting import Account
from mmdiag.readers.documents.attachments import USED, Attachment, chosen
from mmdiag.readers.text.notes import decode


def note_of(attachments: Sequence[Attachment], account: Account) -> tuple[str, bytes] | None:
    """The note that attachments hold: its suffix and content.

    Args:
        account: Every attachment is entered as used or left out.

    Returns:
        None where no attachment can be used.
    """
    found = chosen(attachments, decode)
    for outcome in found.outcomes:
        if outcome == USED:
            account.use_nameless("Attachment")
        else:
            account.leave_nameless("Attachment", "wrong_type" if outcome == "encoding" else outcome)
    return (found.suffix, found.content) if found.suffix else None
