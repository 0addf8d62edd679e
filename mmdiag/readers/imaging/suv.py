"""Standardised uptake values of PET: activity over injected dose and body weight, where the header
says all that is needed.

Reference:
    QIBA FDG-PET/CT profile 1.13, appendix G (vendor-neutral SUV of body weight); DICOM PS3.3
    C.8.9.1, C.8.9.4.
"""

from datetime import datetime, timedelta

import pydicom

from mmdiag.errors import ReadError
from mmdiag.readers.imaging.dicom_header import Header
from mmdiag.readers.imaging.dicom_pixels import BROKEN, read_attributes

LONGEST = timedelta(days=2)  # between injection and scan


def suv_factor(header: Header) -> float:
    """What a value in Bq/ml is multiplied by to become an SUV in g/ml; 1 where the file holds SUVs
    already.

    Raises:
        ReadError: `no_suv`, naming what the header lacks.
    """
    units = header.text("Units")
    if units == "GML" and header.text("SUVType") in ("", "BW"):
        return 1.0
    if units != "BQML":
        raise ReadError("no_suv", "Units (0054,1001) is neither BQML nor GML")
    corrections = header.text("CorrectedImage").split("\\")
    if not {"ATTN", "DECY"} <= set(corrections):
        raise ReadError("no_suv", "CorrectedImage (0028,0051) does not name ATTN and DECY")
    weight = header.number("PatientWeight")
    if not weight or weight <= 0:
        raise ReadError("no_suv", "PatientWeight (0010,1030) is absent")
    dose, half_life, injected = _injection(header)
    decayed = dose
    if header.text("DecayCorrection") == "START":
        waited = (_scanned(header) - injected).total_seconds()
        if not 0 <= waited <= LONGEST.total_seconds():
            raise ReadError("no_suv", "the injection is not shortly before the scan")
        decayed = dose * 2.0 ** (-waited / half_life)
    elif header.text("DecayCorrection") != "ADMIN":
        raise ReadError("no_suv", "DecayCorrection (0054,1102) is neither START nor ADMIN")
    return weight * 1000.0 / decayed


def _injection(header: Header) -> tuple[float, float, datetime]:
    """Dose in Bq, half-life in s, and when it was given."""
    try:
        item: pydicom.Dataset = read_attributes(
            header, ["RadiopharmaceuticalInformationSequence"]
        ).RadiopharmaceuticalInformationSequence[0]
        dose, half_life = float(item.RadionuclideTotalDose), float(item.RadionuclideHalfLife)
        exact = str(item.get("RadiopharmaceuticalStartDateTime") or "")
        injected = (
            _moment(exact[:8], exact[8:])
            if exact
            else _moment(_date(header), str(item.RadiopharmaceuticalStartTime))
        )
    except BROKEN:
        raise ReadError(
            "no_suv",
            "RadiopharmaceuticalInformationSequence (0054,0016) lacks dose, half-life or start",
        ) from None
    if dose <= 0 or half_life <= 0:
        raise ReadError("no_suv", "the injected dose or its half-life is not positive")
    return dose, half_life, injected


def _scanned(header: Header) -> datetime:
    """When the series began: what decay is corrected to."""
    try:
        return _moment(_date(header), header.text("SeriesTime"))
    except ValueError:
        raise ReadError("no_suv", "SeriesDate or SeriesTime (0008,0021/0031) is absent") from None


def _date(header: Header) -> str:
    return header.text("SeriesDate") or header.text("StudyDate")


def _moment(day: str, clock: str) -> datetime:
    return datetime.strptime(f"{day}{clock[:6].ljust(6, '0')}", "%Y%m%d%H%M%S")
