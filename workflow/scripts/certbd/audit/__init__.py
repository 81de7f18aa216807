"""Certificates put to the test, and checks of the random numbers behind them.

Nothing that makes a certificate may import it.
"""
