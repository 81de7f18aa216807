"""Files on disk: whole or absent, sealed, with provenance; fingerprints of code; logs of jobs.

How their contents are made is not known here.
"""
