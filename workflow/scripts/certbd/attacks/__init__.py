"""Triggers and poison sets.

What a certificate must cover follows from them, and is not decided here.
"""
