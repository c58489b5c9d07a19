"""The graph: edges from references and needs, generations, cycles."""

from __future__ import annotations

import itertools
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.flows import Pipeline, PromotionBlock, Step
from headgate.flows.graph import cycles, downstream, edges, generations, promotion_needs


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    names = [f"s{index}" for index in range(draw(st.integers(1, 9)))]
    return {name: tuple(sorted(draw(st.sets(st.sampled_from(names), max_size=3)))) for name in names}


@st.composite
def acyclic_graphs(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    names = [f"s{index}" for index in range(draw(st.integers(1, 9)))]
    upstream = {
        name: tuple(sorted(draw(st.sets(st.sampled_from(names[:index])))) if index else ())
        for index, name in enumerate(names)
    }
    return {name: upstream[name] for name in draw(st.permutations(names))}


@given(acyclic_graphs())
def test_each_step_stands_in_the_earliest_generation_after_what_it_waits_for(graph: dict[str, tuple[str, ...]]) -> None:
    found = generations(graph)
    place = {name: index for index, generation in enumerate(found) for name in generation}
    assert sorted(place) == sorted(graph)
    for name, upstream in graph.items():
        assert place[name] == max((place[other] + 1 for other in upstream), default=0)
    assert list(cycles(graph)) == []


@given(graphs())
def test_every_cycle_is_one_and_removing_them_leaves_none(graph: dict[str, tuple[str, ...]]) -> None:
    found = list(cycles(graph))
    for cycle in found:
        assert cycle[0] == cycle[-1]
        for before, after in itertools.pairwise(cycle):
            assert before in graph[after]
    broken = {step for cycle in found for step in cycle}
    rest = {
        name: tuple(other for other in upstream if other not in broken)
        for name, upstream in graph.items()
        if name not in broken
    }
    generations(rest)
    if not found:
        generations(graph)
    else:
        with pytest.raises(CycleError):
            generations(graph)


@given(acyclic_graphs(), st.data())
def test_downstream_is_what_waits_however_indirectly(graph: dict[str, tuple[str, ...]], data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(sorted(graph)))
    reached = downstream(graph, [start])
    for name, upstream in graph.items():
        assert (name in reached) == bool({start, *reached} & set(upstream))


def test_edges_come_from_references_and_needs() -> None:
    prepare, check = Step("prepare"), Step("check")
    train = Step(
        "train",
        parameters={"data": prepare.artifact("train.parquet"), "note": "after {{ steps.extract.run_id }}"},
        sweep={"seed": [1, "{{ steps.seeds.params.seed }}"]},
        needs=[check],
    )
    pipeline = Pipeline("p", steps=[train, prepare, check, Step("extract"), Step("seeds")])
    assert edges(pipeline)["train"] == ("prepare", "check", "extract", "seeds")
    assert generations(edges(pipeline)) == (("prepare", "check", "extract", "seeds"), ("train",))


def test_a_promotion_waits_for_everything_unless_it_says_for_what() -> None:
    train = Step("train")
    steps = [train, Step("evaluate", parameters={"model": train.model}), Step("report", needs=["train"])]

    def needs(**block: object) -> tuple[str, ...]:
        block = {"model": "m", "candidate": train.model, "to": "@champion", "gate": "gate.yaml", **block}
        return promotion_needs(Pipeline("p", steps=steps, promote=PromotionBlock(**block)))  # type: ignore[arg-type]

    assert needs() == ("train", "evaluate", "report")
    assert needs(needs=[]) == ("train",)
    assert needs(needs=["report"]) == ("train", "report")
    assert needs(needs=[], evaluate="evaluate") == ("train", "evaluate")
    assert promotion_needs(Pipeline("p", steps=steps)) == ()
