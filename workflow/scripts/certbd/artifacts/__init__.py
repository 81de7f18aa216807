"""Files on disk: whole or absent, sealed, with provenance; fingerprints of code; logs of jobs.

What the files hold is not known here.
"""
