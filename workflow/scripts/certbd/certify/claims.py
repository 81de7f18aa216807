"""From counted votes to claims, by the bound that the configuration names."""

from certbd.certify.tally import Tally
from certbd.config import entries
from certbd.config.axes import Certification, alpha_of_certificate
from certbd.theory.claims import Claims


def claim(tally: Tally, certification: Certification, n_certificates: int) -> Claims:
    """Claim the class with most votes (or score) of each input.

    Parameters
    ----------
    n_certificates : int
        Number of certificates among which `multiplicity: simultaneous` shares alpha.

    Raises
    ------
    ValueError
        If there is no bound of that name, or it needs scores and there are none.
    """
    alpha = alpha_of_certificate(certification, n_certificates)
    bound = entries.module(entries.BOUNDS, certification.bound)
    claims: Claims = bound.claim(tally, certification.n_models, alpha)
    return claims


def is_scored(bound: str) -> bool:
    """Return whether a bound is on mean scores rather than on votes."""
    scored: bool = entries.module(entries.BOUNDS, bound).SCORED
    return scored
