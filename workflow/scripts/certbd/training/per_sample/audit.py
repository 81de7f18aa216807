"""How noise of its own on each input is put to the test: as Gaussian noise, and by order."""

from dataclasses import replace

from certbd import rng
from certbd.audit.claim_trials import Parts, claim_trials
from certbd.audit.moves import stepped
from certbd.audit.outcomes import SCALES
from certbd.audit.trials import Case
from certbd.audit.worlds import quiet
from certbd.training import sigma
from certbd.training.gaussian.audit import gaussian_sides
from certbd.training.gaussian.audit import streams as streams
from certbd.training.gaussian.draw import Gaussian
from certbd.training.per_sample.entry import PerSample


def order_side(case: Case) -> Parts:
    """Query inputs attacked within the stored ball of their twin, before the twin is stored.

    Their noise is optimised again, as a defender does who has not seen the twin.
    """
    rows = case.table[case.table["radius_paper"] > 0]
    rows = case.attacked(rows)
    if not len(rows) or not isinstance(case.side, PerSample):
        return
    start, search, procedure = case.side.sigma, case.side.search, case.procedure
    every = replace(procedure, draw=Gaussian(start))
    optimisers = every.train(case.given, range(search.pilots), rng.PILOTS)
    pilots, draws, fresh = case.pilots(case.given), case.pilot_noise(), procedure.fresh()
    labelled = rows.assign(prediction=rows["prediction_storage"])
    polls = []
    for scale in SCALES:
        norms = scale * rows["radius_paper"].to_numpy()
        moved = stepped(case, pilots, draws, labelled, case.inputs(rows), norms)
        module = procedure.module(moved.shape[1:])
        with quiet():
            found = sigma.optimise_sigma(module, optimisers, moved, start, search, procedure.seed)
        polls.append((moved, found.sigma))
    every_vote = procedure.votes(case.given, fresh, polls)
    for scale, votes in zip(SCALES, every_vote, strict=True):
        yield case.outcome(labelled, votes, len(fresh), ("paper", "order", scale))


SIDES = (claim_trials, gaussian_sides, order_side)
