"""DICOM attributes by what they say of a patient: which are kept in a de-identified file, which
identify, and which tell that the pixels may show text.

Reference:
    DICOM PS3.15 Annex E (Basic Application Level Confidentiality Profile; here with the options
    Clean Descriptors, Retain Longitudinal Temporal Information
    with Modified Dates and Retain Patient Characteristics); PS3.6 for the keywords.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from pydicom import uid

# How each attribute is kept: uid = keyed pseudonym, date and datetime = shifted, time = kept where
# the dose's decay needs it, number = checked to be one,
# words = only those of VOCABULARY, age = at most 90 years, sex, group = a sequence whose items are
# kept by the same list, data = as it is, tag = as it is
ALLOWED: Final[dict[str, str]] = {
    "ImageType": "words",
    "SOPClassUID": "class",
    "SOPInstanceUID": "uid",
    "StudyInstanceUID": "uid",
    "SeriesInstanceUID": "uid",
    "FrameOfReferenceUID": "uid",
    "StudyDate": "date",
    "SeriesDate": "date",
    "AcquisitionDate": "date",
    "ContentDate": "date",
    "AcquisitionDateTime": "datetime",
    "StudyTime": "time",
    "SeriesTime": "time",
    "AcquisitionTime": "time",
    "Modality": "words",
    "Manufacturer": "words",
    "ManufacturerModelName": "words",
    "PresentationIntentType": "words",
    "StudyDescription": "words",
    "SeriesDescription": "words",
    "ProtocolName": "words",
    "SequenceName": "words",
    "BodyPartExamined": "words",
    "PatientSex": "sex",
    "PatientAge": "age",
    "PatientSize": "number",
    "PatientWeight": "number",
    "ScanningSequence": "words",
    "SequenceVariant": "words",
    "ScanOptions": "words",
    "MRAcquisitionType": "words",
    "ConvolutionKernel": "words",
    "SliceThickness": "number",
    "SpacingBetweenSlices": "number",
    "KVP": "number",
    "XRayTubeCurrent": "number",
    "Exposure": "number",
    "ExposureTime": "number",
    "RepetitionTime": "number",
    "EchoTime": "number",
    "InversionTime": "number",
    "EchoTrainLength": "number",
    "FlipAngle": "number",
    "MagneticFieldStrength": "number",
    "ImagingFrequency": "number",
    "GantryDetectorTilt": "number",
    "ReconstructionDiameter": "number",
    "ImagerPixelSpacing": "number",
    "PatientPosition": "words",
    "ViewPosition": "words",
    "DiffusionBValue": "number",
    "SeriesNumber": "number",
    "AcquisitionNumber": "number",
    "InstanceNumber": "number",
    "ImagePositionPatient": "number",
    "ImageOrientationPatient": "number",
    "SliceLocation": "number",
    "Laterality": "words",
    "ImageLaterality": "words",
    "TemporalPositionIndex": "number",
    "NumberOfTemporalPositions": "number",
    "SamplesPerPixel": "number",
    "PhotometricInterpretation": "words",
    "PlanarConfiguration": "number",
    "NumberOfFrames": "number",
    "Rows": "number",
    "Columns": "number",
    "PixelSpacing": "number",
    "PixelAspectRatio": "number",
    "BitsAllocated": "number",
    "BitsStored": "number",
    "HighBit": "number",
    "PixelRepresentation": "number",
    "SmallestImagePixelValue": "number",
    "LargestImagePixelValue": "number",
    "PixelPaddingValue": "number",
    "PixelPaddingRangeLimit": "number",
    "WindowCenter": "number",
    "WindowWidth": "number",
    "VOILUTFunction": "words",
    "PixelIntensityRelationship": "words",
    "PixelIntensityRelationshipSign": "number",
    "RescaleIntercept": "number",
    "RescaleSlope": "number",
    "RescaleType": "words",
    "LossyImageCompression": "words",
    "PresentationLUTShape": "words",
    "BurnedInAnnotation": "words",
    "Units": "words",
    "CorrectedImage": "words",
    "DecayCorrection": "words",
    "SUVType": "words",
    "FrameReferenceTime": "number",
    "DecayFactor": "number",
    "ActualFrameDuration": "number",
    "CountsSource": "words",
    "SeriesType": "words",
    "RadionuclideTotalDose": "number",
    "RadionuclideHalfLife": "number",
    "RadionuclidePositronFraction": "number",
    "RadiopharmaceuticalStartTime": "time",
    "RadiopharmaceuticalStartDateTime": "datetime",
    "RadiopharmaceuticalInformationSequence": "group",
    "RedPaletteColorLookupTableDescriptor": "number",
    "GreenPaletteColorLookupTableDescriptor": "number",
    "BluePaletteColorLookupTableDescriptor": "number",
    "RedPaletteColorLookupTableData": "data",
    "GreenPaletteColorLookupTableData": "data",
    "BluePaletteColorLookupTableData": "data",
    "ModalityLUTSequence": "group",
    "VOILUTSequence": "group",
    "LUTDescriptor": "number",
    "ModalityLUTType": "words",
    "LUTData": "data",
    # enhanced images (PS3.3 C.7.6.16)
    "SharedFunctionalGroupsSequence": "group",
    "PerFrameFunctionalGroupsSequence": "group",
    "PixelMeasuresSequence": "group",
    "PlanePositionSequence": "group",
    "PlaneOrientationSequence": "group",
    "PixelValueTransformationSequence": "group",
    "FrameVOILUTSequence": "group",
    "FrameContentSequence": "group",
    "MRImageFrameTypeSequence": "group",
    "CTImageFrameTypeSequence": "group",
    "PETFrameTypeSequence": "group",
    "MRDiffusionSequence": "group",
    "FrameType": "words",
    "DimensionIndexValues": "number",
    "StackID": "words",
    "InStackPositionNumber": "number",
    "FrameAcquisitionNumber": "number",
    "DimensionOrganizationSequence": "group",
    "DimensionOrganizationUID": "uid",
    "DimensionIndexSequence": "group",
    "DimensionIndexPointer": "tag",
    "FunctionalGroupPointer": "tag",
    "PixelPresentation": "words",
    "VolumetricProperties": "words",
    "VolumeBasedCalculationTechnique": "words",
}
PIXELS: Final = "PixelData"
TIMED: Final = ("PT", "NM")  # whose decay correction needs the times of the day
ESSENTIAL: Final = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "SamplesPerPixel",
    "Modality",
)
# Whose values name the patient, or people and places around the patient: masked in the same case's
# notes, and never written
PATIENT_ATTRIBUTES: Final = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "MilitaryRank",
    "InsurancePlanIdentification",
    "AccessionNumber",
    "AdmissionID",
    "StudyID",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "RequestingPhysician",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "ConsultingPhysicianName",
    "ReferringPhysicianAddress",
    "ReferringPhysicianTelephoneNumbers",
    "ScheduledPerformingPhysicianName",
    "NamesOfIntendedRecipientsOfResults",
    "MedicalRecordLocator",
    "PatientTelecomInformation",
    "RegionOfResidence",
    "ServiceEpisodeID",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
    "ResponsiblePerson",
    "InstitutionName",
    "InstitutionAddress",
    "DeviceSerialNumber",
    "StationName",
)
SHORTEST_IDENTIFIER: Final = 2  # letters of a value that can be found in a note

# Classes of images, by whether their pixels often show text, such as the name of the patient; of
# other classes no file is de-identified
CLASSES_WITHOUT_TEXT: Final = frozenset(
    (
        uid.CTImageStorage,
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
        uid.MRImageStorage,
        uid.EnhancedMRImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
        uid.PositronEmissionTomographyImageStorage,
        uid.EnhancedPETImageStorage,
        uid.LegacyConvertedEnhancedPETImageStorage,
        uid.NuclearMedicineImageStorage,
        uid.ComputedRadiographyImageStorage,
        uid.DigitalXRayImageStorageForPresentation,
        uid.DigitalXRayImageStorageForProcessing,
        uid.DigitalMammographyXRayImageStorageForPresentation,
        uid.DigitalMammographyXRayImageStorageForProcessing,
        uid.BreastTomosynthesisImageStorage,
    )
)
CLASSES_WITH_TEXT: Final = frozenset(
    (
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameSingleBitSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
        uid.UltrasoundImageStorage,
        uid.UltrasoundMultiFrameImageStorage,
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.3",
        uid.XRayAngiographicImageStorage,
        uid.XRayRadiofluoroscopicImageStorage,
        uid.EnhancedXAImageStorage,
        uid.EnhancedXRFImageStorage,
        uid.VLEndoscopicImageStorage,
        uid.VLMicroscopicImageStorage,
        uid.VLPhotographicImageStorage,
        uid.OphthalmicPhotography8BitImageStorage,
        uid.OphthalmicPhotography16BitImageStorage,
        uid.DigitalIntraOralXRayImageStorageForPresentation,
        uid.DigitalIntraOralXRayImageStorageForProcessing,
        uid.VLSlideCoordinatesMicroscopicImageStorage,
    )
)
MODALITIES_WITH_TEXT: Final = frozenset(
    ("SC", "US", "ES", "XA", "RF", "XC", "OT", "DOC", "SM", "GM", "IVUS", "OP", "DG", "HC", "IO")
)
IMAGE_TYPES_WITH_TEXT: Final = frozenset(
    ("SCREEN SAVE", "SCREENSAVE", "SCREEN", "REPORT", "DOSE", "SUMMARY", "DOSE_INFO")
)

TEXT_IN_PIXELS_ATTRIBUTES: Final = (
    "SOPClassUID",
    "Modality",
    "BurnedInAnnotation",
    "ConversionType",
    "ImageType",
)

METHOD_CODES: Final = {  # CID 7050
    "profile": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "descriptors": ("113105", "Clean Descriptors Option"),
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
}

# Words that a description may keep. None is looked up by likeness: what is not here is dropped, and
# nobody's name is here that is no word of radiology.
VOCABULARY: Final = frozenset(
    re.findall(
        r"\S+",
        """
    original primary secondary derived axial localizer localiser scout topogram other mip mpr
    average projection reformatted resampled none mosaic norm dis2d dis3d fm nd adc trace tracew
    fa colfa perfusion cbf cbv mtt ttp tmax diffusion dwi dti swi swan flair stir tirm space cube
    vista vibe lava thrive dixon water fat inphase outphase opposed phase magnitude real imaginary
    m p r i se gr ir ep rm sk mtc ss trss sp mp osp t1 t2 pd t1w t2w pdw t2star flash fl2d fl3d
    tse fse ssfse haste ffe tfe tof mra mrv cine fiesta bffe trufi ciss epi ep2d mprage bravo spgr
    fspgr fgre gre me spin echo gradient fast turbo inversion recovery saturation sat fs fatsat
    supp suppressed weighted map ax sag sagittal cor coronal tra transverse obl oblique trans ap
    pa lat lateral ll rl cc mlo ml lm xccl decub decubitus upright supine prone erect left right
    bilateral both l b u head neck brain skull sinus sinuses orbit orbits pituitary iac temporal
    bone face facial mandible c t spine cspine tspine lspine cervical thoracic lumbar sacrum
    sacral chest thorax lung lungs hires hrct heart cardiac coronary aorta breast abdomen abd
    pelvis pelvic liver kidney kidneys renal pancreas spleen prostate uterus bladder bowel rectum
    adrenal shoulder elbow wrist hand finger hip knee ankle foot femur tibia arm leg forearm
    humerus extremity extremities whole body wholebody artery arterial venous vein portal delayed
    late early excretory nephrographic angio angiography cta ctpa pe runoff pre post with without
    w wo wwo and of the for plus contrast gd gad gadolinium enhanced unenhanced nonenhanced native
    dynamic dce dsc ct mr mri pet pt nm cr dx mg us xa rf sc es gm sm xc io op ot ivus doc petct
    spect fdg psma dotatate f18 ga68 ac nac attenuation corrected uncorrected ctac routine
    standard std soft tissue detail edge sharp smooth kernel recon reconstruction thin thick slab
    slice slices volume vol helical spiral sequential mode scan series study exam image images
    protocol survey screening follow up followup baseline 2d 3d 4d mm cm sec ms tr te ti kv kvp ma
    mas b0 bvalue bw bqml gml hu od cnts suv decy attn scat dtim radl ran rand start admin dcal
    sltd fltn normal dead time scatter randoms static gated hfs hfp ffs ffp hfdr hfdl ffdr ffdl
    monochrome1 monochrome2 rgb ybr full ict rct palette color colour 422 420 ybr_full
    ybr_full_422 ybr_partial_420 ybr_ict ybr_rct presentation processing linear linear_exact
    sigmoid lin log identity inverse yes no 00 01 disp emission transmission true distorted
    sampled mixed max min mean median ge medical systems siemens healthineers healthcare philips
    toshiba canon hitachi fujifilm fuji agfa carestream kodak hologic konica minolta shimadzu
    united imaging samsung lodox planmed lorad aera avanto skyra prisma signa hdxt hdx discovery
    optima ingenia achieva intera panorama symphony trio verio espree vida sola lumina magnetom
    somatom definition sensation emotion force drive biograph mct vision lightspeed vct revolution
    brilliance iqon ingenuity gemini aquilion one prime prodigy lunar senographe essential selenia
    dimensions mammomat inspiration dummy phantom test volunteer tumor tumour lesion stroke trauma
    seizure epilepsy metastases staging dose low high resolution res isotropic iso asset arc
    grappa sense compressed cs propeller blade radial fid pel fov reg registered subtraction sub
    color_map kopf hals becken wirbelsaeule hws bws lws schaedel knie huefte schulter nativ mit
    ohne km kontrastmittel cabeza cerebro torax columna rodilla contraste sin con crane bassin
    genou injection
    """,
    )
)


def header_identifiers(
    header: Mapping[str, Sequence[str]], *, plain_stations: bool = False
) -> tuple[str, ...]:
    """What a header says of its patient and of people, as it says it: for `mask.mask_note`.

    Args:
        header: Keyword -> values; of a sequence the ids of its items.
        plain_stations: Whether a station counts that is called by words of radiology alone, such as
            MRI. It identifies nobody, and every such word of a note is masked with it: what is
            handed on does without the word, what is learned from does not.
    """
    values = [
        value.strip()
        for keyword in PATIENT_ATTRIBUTES
        if keyword in header
        for value in header[keyword]
        if plain_stations
        or keyword != "StationName"
        or not VOCABULARY.issuperset(value.lower().split())
    ]
    return tuple(dict.fromkeys([value for value in values if len(value) >= SHORTEST_IDENTIFIER]))


def text_in_pixels(header: Mapping[str, Sequence[str]], *, trust_no: bool) -> list[str]:
    """Why an image may show text in its pixels; empty where nothing says so.

    De-identification never trusts a BurnedInAnnotation of NO: devices write it on images that show
    a name, and what is handed on cannot be called back. Ingestion trusts it: the pixels stay in the
    workspace, and without it every ultrasound and endoscopy would be refused. Silence is never
    trusted of a kind of image that often shows text.

    Args:
        header: Keyword -> values of `TEXT_IN_PIXELS_ATTRIBUTES`.
        trust_no: Whether an explicit NO outweighs the kind of image.

    Returns:
        The attributes that say so, to be named after "by".

    Reference:
        DICOM PS3.3 C.7.6.1 (BurnedInAnnotation), C.8.6.1 (ConversionType of secondary captures).
    """
    values = {
        keyword: {value.strip().upper() for value in found} for keyword, found in header.items()
    }
    annotation = values.get("BurnedInAnnotation", set()) - {""}
    if trust_no and annotation == {"NO"}:
        return []
    reasons = {
        "its SOP class": values.get("SOPClassUID", set()) & CLASSES_WITH_TEXT,
        "its modality": values.get("Modality", set()) & MODALITIES_WITH_TEXT,
        "BurnedInAnnotation (0028,0301)": annotation - {"NO"},
        "ConversionType (0008,0064)": values.get("ConversionType", set()) - {""},
        "ImageType (0008,0008)": values.get("ImageType", set()) & IMAGE_TYPES_WITH_TEXT,
    }
    return [reason for reason, values_with_text in reasons.items() if values_with_text]
