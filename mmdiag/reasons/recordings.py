"""Why a recording or a volume of research forms is refused."""

from mmdiag.reasons.reason import Reason

OF_RECORDINGS: dict[str, Reason] = {
    "missing_data": Reason(
        "A header that keeps its numbers in another file (.hea, .mhd, .nhdr) lies beside it: in "
        "the same folder, under the name that it states.",
        "Put the data file beside its header, or write both as one file (.mha, .nrrd, EDF).",
    ),
    "not_one_value": Reason(
        "A voxel holds one number: no vector, no tensor, no colour.",
        "Write the component or the measure that is meant (such as fractional anisotropy) as a "
        "volume of its own.",
    ),
    "signal_unit": Reason(
        "A signal says its physical unit, and that is the one of the cohort, or can be brought to "
        "it: mV, uV and V are.",
        "State the unit of the file by unit under the modality in cohort.toml, or export the "
        "recording with its calibration.",
    ),
    "signal_segments": Reason(
        "A recording is one stretch of time: no WFDB record of several segments, no interrupted "
        "EDF+ (EDF+D).",
        "Export the one stretch that is meant.",
    ),
}
