"""Signals: WAV, a table of samples, EDF, BDF, WFDB or DICOM waveforms; stored at one rate as 16-bit
samples.
"""

from mmdiag.kinds.kind import PARTS, Function, Kind

SIGNAL = Kind(
    name="signal",
    contract="signals",
    layout=PARTS,
    settings="signal",
    drawn_as="signal",
    keys={
        "channels": Function("mmdiag.description.keys:texts"),
        "rate_hz": Function("mmdiag.description.keys:signal_number"),
        "store_hz": Function("mmdiag.description.keys:signal_number"),
        "seconds": Function("mmdiag.description.keys:signal_number"),
        "full_scale": Function("mmdiag.description.keys:signal_number"),
        "unit": Function("mmdiag.description.keys:signal_unit"),
    },
    check_keys=None,
    read=Function("mmdiag.ingest.read_signals:read_signals"),
    columns=None,
    feature_version=None,
    extractor=Function("mmdiag.prepare.kinds.signal:signal_extractor"),
    weights=None,
    blocks=Function("mmdiag.prepare.kinds.signal:signal_blocks"),
    parts_of_features=None,
    summarise=None,
    fit=Function("mmdiag.prepare.kinds.signal:fit_signal"),
    encoder=Function("mmdiag.prepare.kinds.signal:signal_encoder"),
    pretraining=None,
    load_pretrained=None,
    search_space=None,
    explain=Function("mmdiag.explain.kinds.signal:explain_signal"),
)
