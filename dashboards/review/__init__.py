"""What a reader does with a case: an own reading first, then agree, override or flag; and the job
that explains a case in full.
"""
