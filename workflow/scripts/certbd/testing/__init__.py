"""Votes of trained models under test noise.

Nothing is counted here.
"""
