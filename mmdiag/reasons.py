"""Why an input is refused: the documented list of reason codes, each with its rule and its cure."""

from typing import NamedTuple


class Reason(NamedTuple):
    """What a reason code means to the person who reads it."""

    rule: str
    cure: str


REASONS: dict[str, Reason] = {
    "unreadable": Reason("A file must open and parse.", "Export the file again from its source; then `mmdiag quarantine retry`."),
    "not_dicom": Reason(
        "A DICOM file carries the DICM prefix or a readable data set (PS3.10).", "Remove the file or export the study again as DICOM."
    ),
    "truncated": Reason("A file must be complete: pixel data as long as its header says.", "Transfer the file again; it was cut short."),
    "no_pixel_data": Reason("An image file must hold pixel data.", "Select image series only, by `select` in cohort.toml."),
    "unsupported_transfer_syntax": Reason(
        "The transfer syntax must be one that this installation decodes.", "Export with an uncompressed or JPEG family transfer syntax."
    ),
    "undecodable_pixels": Reason("The compressed pixel data must decode.", "Export the series again; its codestream is damaged."),
    "unknown_photometric": Reason(
        "PhotometricInterpretation (0028,0004) must be one that is understood; a guess could invert the image.",
        "Export as MONOCHROME2 or RGB.",
    ),
    "missing_rescale": Reason(
        "A CT slice must carry RescaleSlope and RescaleIntercept (0028,1053/1052).", "Export again with the rescale tags kept."
    ),
    "missing_geometry": Reason(
        "Slices of a series must carry ImagePositionPatient and ImageOrientationPatient.", "Export the original series, not a derived one."
    ),
    "mixed_geometry": Reason("Slices of one series share size, orientation and spacing.", "Select one series by `select` in cohort.toml."),
    "duplicate_slice": Reason("No two slices of a series lie at the same position.", "Remove the copies, or select one series."),
    "several_series": Reason("One image modality of a case is one series.", "Narrow `select` in cohort.toml to the series that is meant."),
    "patient_mismatch": Reason(
        "Every file of a case names the same patient, and none names another case's subject.",
        "Move the foreign file to the case it belongs to.",
    ),
    "not_text": Reason("A note must be text: no NUL bytes, a known encoding.", "Save the note as UTF-8 text."),
    "table_value": Reason(
        "A value of a numeric column must be a finite number.",
        "Correct the cell in the source table; leave it empty if it was not measured.",
    ),
    "duplicate_row": Reason(
        "A table has one row a case.", 'State how several rows are brought to one (`rows = "first"`, `"mean"`), or remove the copies.'
    ),
    "no_modality": Reason("A case must have at least one modality.", "Add the files of the case, or take its row out of the case table."),
    "contract": Reason(
        "A row must hold the rules of its data contract.", "Correct the row at its source; the rule and its reason are in data_contracts/."
    ),
}
