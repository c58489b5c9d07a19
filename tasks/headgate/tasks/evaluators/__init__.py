"""Built-in evaluators: a model's figures on labelled data, by scikit-learn, without an entry point of the user's.

``evaluator`` says what is measured, ``predictions`` asks the model, ``figures`` and ``ranking`` compute, ``rows`` keeps
each row's result and ``paired`` compares the rows of two models. :mod:`headgate.tasks.measure` makes a run of it.
"""
