"""Tables, figures and the page.

Nothing here imports torch or changes a number.
"""
