"""Models, many at a time, and the fixed features that they see.

They are handed what a draw leaves of a training set; how that is drawn is not decided here.
"""
