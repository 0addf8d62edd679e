"""Why an input is refused: the documented list of reason codes, each with its rule and its cure."""

from mmdiag.reasons.embeddings import OF_EMBEDDINGS
from mmdiag.reasons.reason import Reason
from mmdiag.reasons.recordings import OF_RECORDINGS
from mmdiag.reasons.variants import OF_VARIANTS
from mmdiag.reasons.workbooks import OF_WORKBOOKS

__all__ = ["REASONS", "Reason"]

REASONS: dict[str, Reason] = {
    "not_a_file": Reason(
        "A file must be a regular file: no folder, pipe, device or socket, and no link to nothing.",
        "Put the file itself there; then `mmdiag quarantine retry`.",
    ),
    "outside_root": Reason(
        "A file must lie below the cohort's root, links resolved.",
        "Copy it below the root, or move root up in cohort.toml.",
    ),
    "unreadable": Reason(
        "A file must open and parse.",
        "Export the file again from its source; then `mmdiag quarantine retry`.",
    ),
    "archive": Reason(
        "A file is read by itself, never out of an archive.",
        "Unpack it and name the folder; a compressed table or NIfTI keeps its suffix before .gz.",
    ),
    "not_dicom": Reason(
        "A DICOM file carries the DICM prefix behind its first 128 bytes (PS3.10).",
        "Remove the file or export the study again as DICOM.",
    ),
    "picture_form": Reason(
        "A picture is a PNG or a JPEG and named so (.png, .jpg, .jpeg, .jpe, .jfif): TIFF, BMP, "
        "GIF, WebP, HEIF and JPEG 2000 are not read.",
        "Save it as PNG, which loses nothing, a file a picture, or name it by what it is.",
    ),
    "volume_in_two_files": Reason(
        "A NIfTI is one file (.nii, .nii.gz): a pair of .hdr and .img is not read.",
        "Save it as .nii.gz (nibabel: nib.save(nib.load(HDR), NII); FSL: fslchfiletype); of an "
        "Analyze 7.5 make sure first which side is left.",
    ),
    "truncated": Reason(
        "A file must be complete: pixel data as long as its header says.",
        "Transfer the file again; it was cut short.",
    ),
    "no_pixel_data": Reason(
        "An image file must hold pixel data.",
        "Select image series only, by `select` in cohort.toml.",
    ),
    "unsupported_transfer_syntax": Reason(
        "The transfer syntax must be one that this installation decodes.",
        "Export with an uncompressed or JPEG family transfer syntax.",
    ),
    "undecodable_pixels": Reason(
        "The compressed pixel data must decode.",
        "Export the series again; its codestream is damaged.",
    ),
    "unknown_photometric": Reason(
        "PhotometricInterpretation (0028,0004) must be one that is understood; a guess could "
        "invert the image.",
        "Export as MONOCHROME2 or RGB.",
    ),
    "missing_rescale": Reason(
        "A CT slice must carry RescaleSlope and RescaleIntercept (0028,1053/1052), a dose grid "
        "DoseGridScaling (3004,000E); of the slices of a series all say how they are scaled, or "
        "none.",
        "Export again with the rescale tags kept.",
    ),
    "missing_geometry": Reason(
        "Slices of a series must carry ImagePositionPatient and ImageOrientationPatient, a NIfTI "
        "an sform or a qform: without them nobody knows their order, or which side is left.",
        "Export or convert the original series, not a derived one.",
    ),
    "mixed_geometry": Reason(
        "Slices of one series share size, orientation and spacing.",
        "Narrow `select` in cohort.toml to slices that belong together: any keyword of DICOM can "
        'tell them apart, such as ImageType, AcquisitionNumber or Rows = "512".',
    ),
    "duplicate_slice": Reason(
        "No two slices of a series lie at the same position.",
        "Remove the slices that are there twice; exact copies of a file are left out anyway.",
    ),
    "several_volumes": Reason(
        "One image modality of a case is one volume: no echoes, time points, phases or diffusion "
        "weightings one after the other.",
        "Of several files name one volume by `select` in cohort.toml, with the keyword that "
        'differs (select = { EchoTime = "80" }); of one file write one volume out, as NIfTI '
        "(`dcm2niix`, `fslroi`) or as DICOM.",
    ),
    "several_views": Reason(
        "One image modality of a case is one projection: views lie beside each other, they are no "
        "slices.",
        "Name one view by `select` in cohort.toml, with the keyword that differs (select = "
        '{ ViewPosition = "PA" }), or each as a modality of its own.',
    ),
    "mosaic": Reason(
        "A slice shows one slice: a mosaic holds many in one plane.",
        "Convert the series to NIfTI (`dcm2niix` takes a mosaic apart) and name one volume, or "
        "export it as enhanced multi-frame DICOM.",
    ),
    "contact_sheet": Reason(
        "A slice shows one slice: a contact sheet holds many pictures in one.",
        "Narrow `select` in cohort.toml to the series that the sheet was made of.",
    ),
    "segmentation": Reason(
        "An image shows what was measured: a segmentation is what somebody marked.",
        "Narrow `select` in cohort.toml to the series that was segmented, or name its file.",
    ),
    "tiled_slide": Reason(
        "A frame is a slice: those of a whole slide image are tiles of one picture.",
        "Export the region that is meant as PNG or JPEG.",
    ),
    "missing_attribute": Reason(
        "An image says how its pixels are stored (Type 1 of the Image Pixel Module, PS3.3 "
        "C.7.6.3): nothing of it is guessed.",
        "Export the series again from its source; the tool that wrote it left attributes out.",
    ),
    "bad_window": Reason(
        'An image that is to be shown as its header says (window = "voi") has a window or a VOI '
        "LUT that means something, on every slice or on none.",
        'Write window = "auto" or window = [low, high] for the modality in cohort.toml.',
    ),
    "several_series": Reason(
        "One image modality of a case is one series.",
        "Narrow `select` in cohort.toml to the series that is meant.",
    ),
    "patient_mismatch": Reason(
        "Every file of a case names the same patient, and none names another case's subject.",
        "Move the foreign file to the case it belongs to.",
    ),
    "not_text": Reason(
        "A note must be text, RTF, HTML, a PDF with text, a Word document (.docx), a CDA or a FHIR "
        "document: no NUL bytes, no other XML, JSON or YAML, no message of HL7 version 2, no "
        "e-mail in parts, nothing in base64 or other codes.",
        "Save the note as UTF-8 text.",
    ),
    "not_final": Reason(
        "A FHIR document or report that is a note holds: its status is current or final, amended, "
        "corrected or appended.",
        "Export the version that holds, or take the file out.",
    ),
    "text_elsewhere": Reason(
        "A document carries its text; another file that it refers to is not followed.",
        "Name the file that holds the text as the note, or export the document with it.",
    ),
    "encoding": Reason(
        "A note or a table must be whole in one encoding, and certainly in that: UTF-8, UTF-16 "
        "with its mark, or Windows-1252; a note in another one must hold the case's own name.",
        "Save it as UTF-8 text, or name the patient in `identifiers` of cohort.toml.",
    ),
    "control_characters": Reason(
        "A note or a table holds no control characters, none that turn the direction of text, "
        "and no piles of combining marks: they show what is not there.",
        "Export it again as plain text, or remove these characters.",
    ),
    "too_long": Reason(
        "A note has at most 2 000 000 characters, no word of more than 10 000, and 500 pages.",
        "Split the document, or export the report alone.",
    ),
    "no_text_layer": Reason(
        "A PDF or a Word document must carry its text on every page, in a font that says which "
        "letters it shows: a scanned page is a picture.",
        "Run text recognition (OCR) and store its text, or take out pages that are pictures alone.",
    ),
    "duplicate_key": Reason(
        "A key stands once: in an object of JSON, in the key column of a table, in the INFO of a "
        "variant.",
        "Remove the copies, or name the column that tells the rows apart.",
    ),
    "burned_in": Reason(
        "De-identified pixels show no text: captures, ultrasound, endoscopy and angiography "
        "often carry the patient's name in the image.",
        "Blank the region that holds text (`mmdiag deidentify --blank-top SHARE`); or look at the "
        'images, and write burned_in = "accept" for the modality where they show none.',
    ),
    "not_an_image": Reason(
        "De-identification rebuilds images of known SOP classes only; reports, documents, "
        "presentation states and raw data are not cleaned.",
        "Leave the file out, or export its text as a note.",
    ),
    "duplicate_instance": Reason(
        "A SOP instance UID stands for one file.",
        "Remove the second file, or export the study again.",
    ),
    "unknown_kind": Reason(
        "De-identification reads DICOM files and notes (.txt).",
        "Leave the file out, or bring it into one of these forms.",
    ),
    "table_value": Reason(
        "A value of a numeric column must be a finite number.",
        "Correct the cell in the source table; leave it empty if it was not measured.",
    ),
    "duplicate_row": Reason(
        "A table has one row a case.",
        'State how several rows are brought to one (`rows = "first"`, `"mean"`), remove the '
        "copies, or write a table with a row a measurement wide, a column each.",
    ),
    "several_files": Reason(
        "A note, a row of a table, a picture and a volume are one file of a case.",
        "Name the one that is meant in `path`: a view or a sequence is a modality of its own, and "
        "several notes or visits of a case are a table with a key, whose rows `rows` brings to "
        "one.",
    ),
    "key_goes_on": Reason(
        "A file is of the case whose key its name holds whole: a digit that goes on makes it that "
        "of another.",
        'Part the key from what follows by a sign in the names and in `path` ("{id}_*", not '
        '"{id}*"), or move what belongs to no case.',
    ),
    "not_a_table": Reason(
        "A table must be delimited text, Parquet, a workbook (.xlsx, .xls, .ods), GCT, h5ad, MAF "
        "or VCF under a name that says so: no archive and no web page.",
        "Export it as CSV or .xlsx; name a compressed file .csv.gz.",
    ),
    "nul_bytes": Reason(
        "A table holds no NUL bytes: they are left by a write that was torn.",
        "Export the table again.",
    ),
    "line_ends": Reason(
        "A line of a table ends in LF or CR LF.",
        "Save the table with the line ends of Unix or Windows.",
    ),
    "delimiter": Reason(
        "A .csv is separated by commas and has decimal points; a .tsv, .txt, .gct, .maf and .vcf "
        "is separated by tabs.",
        "Export it with the separator that its name says, and with decimal points.",
    ),
    "ragged": Reason(
        "Every row of a table is as long as its header.",
        "Export the table again; a shorter last row means that it was cut.",
    ),
    "no_rows": Reason(
        "A table begins with a header and must have a row a case.",
        "Export it again, or take it out of the cohort.",
    ),
    "duplicate_column": Reason("A column is there once.", "Rename or remove the copy."),
    "bad_column": Reason(
        "The name of a column is a plain name, none of the form __name__.", "Rename the column."
    ),
    "missing_key": Reason(
        "Every row of a table has a key; NA, null and none are no keys.",
        "Fill the key in or remove the row.",
    ),
    "bad_key": Reason(
        "A key could be no path and no template, and has at most 128 characters: it names files "
        "and runs.",
        "Choose another key column.",
    ),
    "look_alike_key": Reason(
        "Keys differ by more than case, blanks, a decimal .0, characters that do not show or "
        "foreign letters that look Latin.",
        "Correct the keys that mean the same; rename those that do not.",
    ),
    "cell_too_long": Reason(
        "A cell of a table has at most 131 072 characters.",
        "Store long texts as files of their own.",
    ),
    "too_large": Reason(
        "A table has at most 2 GiB, a table or a document inflated a hundred times its size (and "
        "64 MiB), and is read in memory by its size.",
        "Split it, or store it without compression.",
    ),
    "gene_matrix": Reason(
        "A GCT or h5ad matrix has the parts that its format defines, one number for each case "
        "and gene.",
        "Export the matrix again.",
    ),
    "mutation_table": Reason(
        "A MAF has Hugo_Symbol, Variant_Classification and Tumor_Sample_Barcode.",
        "Export it again with these columns.",
    ),
    "not_finite": Reason(
        "A number of a variant is finite.", "Leave the value out (`.`) where it is not known."
    ),
    "no_modality": Reason(
        "A case must have at least one modality.",
        "Add the files of the case, or take its row out of the case table.",
    ),
    "contract": Reason(
        "A row must hold the rules of its data contract.",
        "Correct the row at its source; the rule and its reason are in data_contracts/.",
    ),
    "too_deep": Reason(
        "Sequences of a DICOM file nest a few levels deep.",
        "Export the file again; one that nests deeper is damaged or hostile.",
    ),
    "too_slow": Reason(
        "A file must be read within ten seconds, a table in a second for each MB beyond.",
        "Export it again without compression or in smaller parts; then `mmdiag quarantine retry`.",
    ),
    "reader_died": Reason(
        "A file must be read without killing its reader.",
        "Export it again with another transfer syntax; the file is damaged or hostile.",
    ),
    "localizer": Reason(
        "An image modality is a series that shows the anatomy, not the planning of it (ImageType "
        "LOCALIZER).",
        "Narrow `select` in cohort.toml to the series that is meant.",
    ),
    "no_suv": Reason(
        "A PET image must say what standardised uptake values need: units, dose, half-life, "
        "times and weight.",
        "Export the original series with these attributes kept.",
    ),
    "after_as_of": Reason(
        "Nothing recorded after the case's as_of may be read: the model would know the future.",
        "Correct as_of or the date, or take the later document out.",
    ),
    "incomplete": Reason(
        "This cohort asks for cases of which no modality is refused.",
        'Mend the modality that is refused, or set incomplete = "keep" under [cases] in '
        "cohort.toml.",
    ),
    "same_image": Reason(
        "An image or a recording lies under one subject, and under one of its cases.",
        "Find out whose it is, and take it away from the other; where one examination belongs to "
        "two cases, accept it with that reason.",
    ),
    "near_same_image": Reason(
        "Images of two subjects differ in more than 6 of 256 bits of their perceptual hash.",
        "Look at both: one may be a copy under another key.",
    ),
    "same_note": Reason(
        "A note of 200 characters or more lies under one subject.",
        "Find out whose it is, and take it away from the other.",
    ),
    "template_note": Reason(
        "A short note stands under one subject.",
        "Leave templates out, or name another column of notes.",
    ),
    "label_in_note": Reason(
        "A note that is an input does not state the label (label_patterns in cohort.toml).",
        "Use a note from before the diagnosis, or correct the pattern.",
    ),
    "class_in_note": Reason(
        "Notes of a class do not name it more often than those of the others.",
        "State under label_patterns in cohort.toml what gives the label away.",
    ),
    "label_in_input": Reason(
        "No column of an input is the label under another name.",
        "Leave the column out by `exclude` in cohort.toml.",
    ),
    "label_by_input": Reason(
        "No column of an input tells a class, or the order of times, with no or hardly a fault.",
        "Find out how the column was made; leave it out by `exclude` in cohort.toml if the label "
        "went into it.",
    ),
    "label_by_absence": Reason(
        "Which modalities are there does not tell the label.",
        "Compare the model with the baseline of availability.",
    ),
    "label_by_site": Reason(
        "The site does not tell the label.", "Report results by site, and hold a site out."
    ),
    "not_retrieved": Reason(
        "A PACS gives the image that was asked for, and sends the one that it announces.",
        "Ask the PACS for it again; if it stays so, have the archive checked.",
    ),
    "transfer_too_large": Reason(
        "One image that a PACS sends has at most 2 GB.",
        "Send the series in smaller parts, or export it to files.",
    ),
    "no_room": Reason(
        "A received image fits on the disk, with 1 GB to spare.",
        "Free some space and have the images sent again.",
    ),
    "blank": Reason(
        "A note holds words.", "Export the note again; leave the file out where none was written."
    ),
    "not_a_signal": Reason(
        "A signal is a WAV (PCM or float), an EDF, a BDF, a WFDB record, a DICOM waveform, or a "
        "table whose columns are its channels.",
        "Export it as EDF, WAV or CSV; of a WFDB record name the header (.hea).",
    ),
    "signal_rate": Reason(
        "The rate of a signal is known and even: a recording says it, a table by rate_hz in "
        "cohort.toml or by a column time_s; other times in it agree.",
        "State rate_hz under the modality in cohort.toml, or export the signal with even times.",
    ),
    "signal_channels": Reason(
        "A signal has the channels that the cohort describes, each once: a table and a WAV all of "
        "them, an EDF, WFDB or DICOM at least one.",
        "Name its columns or leads under channels in cohort.toml, or leave the recording out.",
    ),
    "signal_gap": Reason(
        "A signal has a value at every sample.",
        "Export the recording without gaps, or the part before the first one.",
    ),
}
REASONS |= OF_EMBEDDINGS | OF_RECORDINGS | OF_VARIANTS | OF_WORKBOOKS
