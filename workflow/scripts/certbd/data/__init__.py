"""Raw files to arrays in [0, 1], and which of their rows are used.

Nothing is fitted on the data; torchvision and scikit-learn are imported inside functions.
"""
