"""Counts of votes to certificates, votes from elsewhere, and the search for noise.

Only the search imports torch.
"""
