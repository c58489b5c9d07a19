"""Gates: what a candidate must show before it is promoted, and the pure function that decides.

``model`` holds the gate, ``file`` and ``definition`` read one, ``evidence`` and ``decide`` judge a candidate by it, and
``explain`` puts a verdict into words. The public names stand on :mod:`headgate.tasks`.
"""
