"""Clinical text: from files and documents to clean notes with their sections, sentences and
dates.
"""
