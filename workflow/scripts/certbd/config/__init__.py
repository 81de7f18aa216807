"""What is asked for: entries checked, defaults filled in, messages that name the key.

No data file is opened here.
"""
