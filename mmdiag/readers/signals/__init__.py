"""Signals: ECG and other recordings from WAV, tables, EDF, BDF, WFDB and DICOM waveforms."""
