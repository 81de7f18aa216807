"""What a model gets to see of the training set, and how N of them are trained.

Test inputs have no part in it.
"""
