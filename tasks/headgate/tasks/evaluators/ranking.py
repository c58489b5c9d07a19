"""Figures of rankings: the rows of a group in the order of their scores, against how relevant they are."""

from __future__ import annotations

from typing import Any

from headgate.tasks.evaluators.libraries import library


def ranking_figures(relevance: Any, score: Any, group: Any, k: int) -> dict[str, float]:
    """Return the means over the groups that have a relevant row; nothing when there is none.

    ``ndcg`` is scikit-learn's (ties are averaged), over all rows of a group and over the first ``k``; ``mrr`` the mean
    of one by the rank of the first relevant row; ``map`` the mean average precision; precision and recall are of the
    first ``k``. Ties of the score keep the order of the rows.
    """
    numpy, metrics = library("numpy"), library("sklearn.metrics")
    sums: dict[str, list[float]] = {}
    for name in dict.fromkeys(group.tolist()):
        rows = group == name
        truth, said = relevance[rows], score[rows]
        if not (truth > 0).any():
            continue
        hits = (truth > 0)[numpy.argsort(-said, kind="stable")]
        ranks = numpy.flatnonzero(hits) + 1
        one = {
            "ndcg": 1.0 if len(truth) == 1 else metrics.ndcg_score([truth], [said]),
            f"ndcg_at_{k}": 1.0 if len(truth) == 1 else metrics.ndcg_score([truth], [said], k=k),
            "mrr": 1.0 / ranks[0],
            "map": float((numpy.arange(1, len(ranks) + 1) / ranks).mean()),
            f"precision_at_{k}": hits[:k].sum() / min(k, len(hits)),
            f"recall_at_{k}": hits[:k].sum() / hits.sum(),
        }
        for key, value in one.items():
            sums.setdefault(key, []).append(float(value))
    return {key: sum(values) / len(values) for key, values in sums.items()}
