"""What each vote is cast on: one file for each test side; votes of trained models.

Nothing is counted here.
"""

KINDS = (
    "noise",
    "flips",
)
