"""Notes of a phantom: findings affirmed, negated or left out, in the language of reports, with
abbreviations, typing errors and chatter.
"""

import numpy as np
from jaxtyping import Int
from numpy import ndarray

FINDINGS: tuple[tuple[str, str], ...] = (
    ("perifocal oedema", "oedema"),
    ("mass effect", "mass"),
    ("midline shift", "midline"),
    ("ring enhancement", "enhancement"),
    ("central necrosis", "necrosis"),
    ("restricted diffusion", "diffusion"),
    ("haemorrhage", "haemorrhage"),
    ("cortical infiltration", "infiltration"),
    ("ventricular compression", "compression"),
    ("leptomeningeal spread", "leptomeningeal"),
    ("elevated perfusion", "perfusion"),
    ("contralateral extension", "contralateral"),
)
AFFIRMED = (
    "Marked {0}.",
    "There is {0}.",
    "{0} is seen.",
    "Pronounced {0} on all sequences.",
    "{0} is present, w/ progression.",
)
NEGATED = (
    "No {0}.",
    "There is no evidence of {0}.",
    "Without {0}.",
    "Negative for {0}.",
    "{0} is not seen.",
)
CHATTER = (
    "Comparison with the prior study of the same site.",
    "The paranasal sinuses are clear.",
    "Motion artefacts limit the assessment.",
    "The pituitary gland is of normal size.",
    "Postoperative changes of the skull.",
    "Contrast was tolerated well.",
    "Orbits unremarkable.",
    "Slices of 5 mm, FLAIR and T1 w/ Gd.",
    "The mastoid air cells are aerated.",
    "Flow voids are preserved.",
)
HISTORY = (
    "Seizure.",
    "Headache for weeks.",
    "Follow-up.",
    "Pt. with known lesion.",
    "Routine control.",
    "Dizziness, otherwise well.",
)
INCIDENTAL = (  # of each one of two sentences, whatever the outcome
    ("Degenerative cervical spine.", "The cervical spine is well aligned."),
    ("Small maxillary cyst.", "Maxillary recesses pneumatised."),
    ("The falx is calcified.", "Smooth falx cerebri."),
    ("Nasal septum bent leftwards.", "Straight nasal septum."),
    ("Prominent perivascular spaces.", "Perivascular spaces of ordinary width."),
    ("Dental metal causes signal loss.", "Teeth well displayed."),
    ("Elongated vertebral arteries.", "Vertebral arteries run straight."),
    ("Thickened calvarium.", "Even calvarium."),
    ("Partially empty sella.", "The sella is well filled."),
    ("Open septum pellucidum.", "The septum pellucidum is closed."),
    ("Parietal scalp lipoma.", "Scalp soft parts are symmetric."),
    ("Unequal transverse sinuses.", "The transverse sinuses are equally wide."),
)
ABBREVIATED = {"evidence": "evid.", "oedema": "edema", "There is ": "", "sequences": "seq."}


def write_note(
    findings: Int[ndarray, "finding"],
    generator: np.random.Generator,
    *,
    distractors: bool = False,
) -> str:
    """The note of one case; every finding that is mentioned is one sentence.

    Args:
        distractors: Add as many sentences of what says nothing of the outcome.
    """
    sentences = [
        _finding(FINDINGS[i][0], int(state), generator) for i, state in enumerate(findings) if state
    ]
    sentences += [
        str(s) for s in generator.choice(CHATTER, size=int(generator.integers(2, 6)), replace=False)
    ]
    if distractors:
        said, which = (
            generator.random(len(INCIDENTAL)) < 0.9,
            generator.integers(0, 2, len(INCIDENTAL)),
        )
        sentences += [INCIDENTAL[i][which[i]] for i in np.flatnonzero(said)]
    sentences = [sentences[i] for i in generator.permutation(len(sentences))]
    cut = max(1, len(sentences) - 3)
    history = str(generator.choice(HISTORY))
    found, impression = " ".join(sentences[:cut]), " ".join(sentences[cut:])
    return f"HISTORY:\n{history}\n\nFINDINGS:\n{found}\n\nIMPRESSION:\n{impression}\n"


def _finding(term: str, state: int, generator: np.random.Generator) -> str:
    sentence = str(generator.choice(AFFIRMED if state > 0 else NEGATED)).format(term)
    if generator.random() < 0.15:
        for word, short in ABBREVIATED.items():
            sentence = sentence.replace(word, short)
    if generator.random() < 0.08:
        sentence = _typing_error(sentence, generator)
    return sentence[0].upper() + sentence[1:]


def _typing_error(sentence: str, generator: np.random.Generator) -> str:
    """Two neighbouring letters of the longest word change places."""
    word = max(sentence.rstrip(".").split(), key=len)
    place = int(generator.integers(1, len(word) - 2))
    return sentence.replace(
        word, word[:place] + word[place + 1] + word[place] + word[place + 2 :], 1
    )
