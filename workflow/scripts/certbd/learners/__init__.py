"""Models, many at a time, and the fixed features that they see.

They are handed nothing but noisy copies, drawn rows or sums of the training set.
"""
