"""The graph of a pipeline's steps: edges, cycles, and which steps may run side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from headgate.flows.model import Pipeline

Edges = Mapping[str, tuple[str, ...]]
"""Step → the steps it waits for, each in the order of the pipeline."""


def edges(pipeline: Pipeline) -> Edges:
    """Return which steps each step waits for: those it refers to and those it ``needs``.

    Names that are no steps are left out; :mod:`headgate.flows.check` reports them.
    """
    known = [step.name for step in pipeline.steps]
    upstream: dict[str, tuple[str, ...]] = {}
    for step in pipeline.steps:
        wanted = {*step.needs, *(reference.step for reference in step.step_references)}
        upstream[step.name] = tuple(name for name in known if name in wanted)
    return upstream


def promotion_needs(pipeline: Pipeline) -> tuple[str, ...]:
    """Return the steps that must finish before the gate decides, in the order of the pipeline.

    All of them, unless the block says ``needs``; the candidate's and the evaluating step are always among them.
    """
    block = pipeline.promote
    if block is None:
        return ()
    if block.needs is None:
        return tuple(step.name for step in pipeline.steps)
    wanted = {*block.needs, block.candidate_step, block.evaluate}
    return tuple(step.name for step in pipeline.steps if step.name in wanted)


def cycles(graph: Edges) -> Iterator[tuple[str, ...]]:
    """Yield the cycles of a graph, none sharing a step with another; ``("a", "b", "a")`` says that b waits for a."""
    remaining = {name: tuple(upstream) for name, upstream in graph.items()}
    while True:
        try:
            TopologicalSorter(remaining).prepare()
        except CycleError as error:
            cycle = tuple(error.args[1])
            yield _from_first(cycle, list(graph))
            remaining = {
                name: tuple(other for other in upstream if other not in cycle)
                for name, upstream in remaining.items()
                if name not in cycle
            }
        else:
            return


def _from_first(cycle: tuple[str, ...], order: list[str]) -> tuple[str, ...]:
    """Turn a cycle so that it starts with the step that the pipeline names first: the same words every time."""
    ring = cycle[:-1]
    start = ring.index(min(ring, key=order.index))
    turned = ring[start:] + ring[:start]
    return (*turned, turned[0])


def generations(graph: Edges) -> tuple[tuple[str, ...], ...]:
    """Return the steps in generations: each step waits only for steps of generations before its own.

    Raises:
        graphlib.CycleError: there is a cycle.
    """
    order = {name: index for index, name in enumerate(graph)}
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    found: list[tuple[str, ...]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=order.__getitem__)
        found.append(tuple(ready))
        sorter.done(*ready)
    return tuple(found)


def downstream(graph: Edges, names: Iterable[str]) -> frozenset[str]:
    """Return every step that waits, directly or through others, for one of ``names``."""
    reached: set[str] = set()
    frontier = set(names)
    while frontier:
        frontier = {name for name, upstream in graph.items() if frontier & set(upstream)} - reached
        reached |= frontier
    return frozenset(reached)
