"""What Prefect's pages show of the records: lineage, verdicts, runs, and the history of a model's promotions.

Each is a Markdown artifact under a key: the pages keep all artifacts of a key as its history. Texts out of the records
are escaped, so that they are shown and never interpreted.
"""
