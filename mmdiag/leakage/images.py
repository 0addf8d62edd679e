"""The same picture, or nearly the same, under two subjects or two cases."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from mmdiag.leakage.finding import SHOWN, Finding
from mmdiag.leakage.near_duplicates import near_pictures


def images_of_two(fingerprints: pd.DataFrame, subjects: pd.Series) -> Iterator[Finding]:
    """The same picture, of any modality, under two subjects, or of one modality under two cases of
    one; and of one modality nearly the same.
    """
    known = fingerprints[
        fingerprints["pixel_sha256"].notna() & fingerprints["case_id"].isin(subjects.index)
    ].reset_index(drop=True)
    known = known.assign(
        subject=known["case_id"].map(subjects), case=pd.factorize(known["case_id"])[0]
    )
    copied = under_two(known["pixel_sha256"], known["subject"])
    partner = partners(
        known["pixel_sha256"][copied], known["subject"][copied], known["case_id"][copied]
    )
    repeated = under_two(known["modality"] + known["pixel_sha256"], known["case"]) & ~copied
    partner = pd.concat(
        [
            partner,
            partners(
                known["pixel_sha256"][repeated], known["case"][repeated], known["case_id"][repeated]
            ),
        ]
    )
    copied |= repeated
    for modality, rows in known.groupby("modality", sort=True):
        failed = {
            str(rows["case_id"][row]): f"the same content as case {partner[row]}"
            for row in rows.index[copied[rows.index]]
        }
        yield Finding("same_image", str(modality), len(rows), failed)
        hashed = rows[~copied[rows.index] & rows["perceptual"].notna()]
        pairs = near_pictures(hashed["perceptual"].tolist(), hashed["subject"].to_numpy())
        names = hashed["case_id"].to_numpy()[pairs]
        alike = {
            str(case): f"nearly the same picture as case {other}"
            for pair in names
            for case, other in (pair, pair[::-1])
        }
        shown = ", ".join(" and ".join(pair) for pair in names[:SHOWN])
        yield Finding(
            "near_same_image",
            str(modality),
            len(hashed),
            alike,
            f"Pairs: {len(names)}, such as {shown}." if alike else "",
        )


def under_two(key: pd.Series, subject: pd.Series) -> "pd.Series[bool]":
    """Rows whose key stands under more than one subject."""
    by_key = subject.groupby(key)
    return by_key.transform("min") != by_key.transform("max")


def partners(key: pd.Series, subject: pd.Series, case: pd.Series) -> "pd.Series[str]":
    """For each row a case of another subject with the same key; every key stands under at least
    two.
    """
    frame = pd.DataFrame({"key": key, "subject": subject, "case": case}).sort_values(
        "subject", kind="stable"
    )
    first, last = (
        frame.drop_duplicates("key", keep=keep).set_index("key") for keep in ("first", "last")
    )
    own = frame["subject"].to_numpy() == frame["key"].map(first["subject"]).to_numpy()
    other = np.where(own, frame["key"].map(last["case"]), frame["key"].map(first["case"]))
    return pd.Series(other, index=frame.index, dtype=object)
