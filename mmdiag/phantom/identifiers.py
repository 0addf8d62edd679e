"""Identifiers that are planted to be found again: names, ids, dates of birth, telephone numbers and
addresses.
"""

from datetime import date, timedelta

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

GIVEN = (
    "Zebulon",
    "Quintessa",
    "Hortensia",
    "Barnabas",
    "Xanthippe",
    "Ignatius",
    "Wilhelmina",
    "Thelonius",
)
FAMILY = (
    "Quagmirelli",
    "Vandersnoot",
    "Oxenthwaite",
    "Pumpernickle",
    "Featherstonehaugh",
    "Brzeczyszcz",
    "Zwingenberger",
    "Mackelworthy",
)
STREETS = ("Gossamer Lane", "Wuthering Row", "Peppercorn Alley", "Thistledown Court")


def make_person(number: int, generator: np.random.Generator) -> dict[str, str]:
    """Identifiers of one person, none of which another person has."""
    family = f"{generator.choice(FAMILY)}-{generator.choice(FAMILY)[::-1].title()}{number}"
    born = date(1930, 1, 1) + timedelta(days=int(generator.integers(25_000)))
    return {
        "family": family,
        "given": f"{generator.choice(GIVEN)}{number}",
        "record": f"MRN{generator.integers(10**8, 10**9)}",
        "born": born.strftime("%Y%m%d"),
        "born_text": born.strftime("%d.%m.%Y"),
        "telephone": f"+44 7700 {generator.integers(900_000, 999_999)}",
        "address": f"{generator.integers(100, 999)} {generator.choice(STREETS)} {number}",
    }


def header_of(person: dict[str, str]) -> Dataset:
    """The person in standard, nested and private attributes."""
    dataset = Dataset()
    dataset.PatientName = f"{person['family']}^{person['given']}"
    dataset.PatientBirthDate = person["born"]
    dataset.OtherPatientIDs = person["record"]
    dataset.PatientAddress = person["address"]
    dataset.PatientTelephoneNumbers = person["telephone"]
    nested = Dataset()
    nested.PatientID = person["record"]
    nested.TypeOfPatientID = "TEXT"
    dataset.OtherPatientIDsSequence = Sequence([nested])
    block = dataset.private_block(0x0099, "PHANTOM PRIVATE", create=True)
    block.add_new(0x01, "LO", f"{person['family']} {person['telephone']}")
    return dataset


def sentence_of(person: dict[str, str]) -> str:
    """The person in a note."""
    return (
        f"Patient: {person['given']} {person['family']}, born {person['born_text']}, MRN "
        f"{person['record']}. "
        f"Address: {person['address']}. Tel. {person['telephone']}.\n\n"
    )
