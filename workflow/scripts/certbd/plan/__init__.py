"""Which files a configuration needs, from which settings each is made, and what each is known by.

Read by the rules (``workflow/rules``) and by tests; it knows nothing of Snakemake. `Plan` is the
whole of it: checks that need a dataset's labels, settings and identities by stage, and targets.
"""
