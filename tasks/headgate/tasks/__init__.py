"""One unit of work each: run a project, evaluate a model, decide by a gate, promote, roll back.

The names below load on first use; ``import headgate.tasks`` itself is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgate.store.face import lazy_face

_NAMES = {
    "AllOf": ".gates.model",
    "AnyOf": ".gates.model",
    "Approval": ".gates.model",
    "ApprovalRequest": ".approvals",
    "Budget": ".gates.model",
    "DataValidation": ".expectations.results",
    "EntryPoint": ".projects.model",
    "Evaluation": ".evaluate",
    "Evaluator": ".evaluators.evaluator",
    "Evidence": ".gates.evidence",
    "Expectations": ".gates.model",
    "Freshness": ".gates.model",
    "Function": ".gates.model",
    "Gate": ".gates.model",
    "Improvement": ".gates.model",
    "NoChampion": ".gates.model",
    "Over": ".watch.model",
    "Parameter": ".projects.model",
    "ProcessScope": ".process",
    "Project": ".projects.model",
    "RunResult": ".run_project",
    "Signature": ".gates.model",
    "SqlTable": ".expectations.sql",
    "StopRequest": ".stopping",
    "Threshold": ".gates.model",
    "Watch": ".watch.model",
    "WatchCheck": ".watch.model",
    "Watched": ".watch.look",
    "approve": ".approvals",
    "asked_before": ".approvals",
    "candidate_model_id": ".promote",
    "champion_to_evaluate": ".promote",
    "decide": ".gates.decide",
    "decide_promotion": ".promote",
    "decision_json": ".gates.explain",
    "deliver_webhooks": ".webhooks.deliver",
    "evaluate_champion": ".evaluate",
    "evaluate_model": ".evaluate",
    "explain": ".gates.explain",
    "gate_error": ".promote",
    "gate_from_definition": ".gates.definition",
    "load_gate": ".gates.file",
    "load_guards": ".guards",
    "load_project": ".projects.source",
    "load_suite": ".expectations.suite",
    "load_watch": ".watch.file",
    "look_after_promotion": ".watch.look",
    "measure_champion": ".measure",
    "measure_model": ".measure",
    "model_format": ".model_format",
    "override": ".promote",
    "parse_gate": ".gates.file",
    "promote": ".promote",
    "promote_if_passing": ".promote",
    "promoted_before": ".promote",
    "reap": ".reap",
    "record_answer": ".approvals",
    "register_model": ".register",
    "reject": ".approvals",
    "request_approval": ".approvals",
    "require_approval": ".approvals",
    "roll_back": ".promote",
    "set_guards": ".guards",
    "run_project": ".run_project",
    "tracked": ".functions.tracked",
    "tracking": ".tracking",
    "validate_data": ".validate_data",
    "validation_error": ".validate_data",
    "verdict_html": ".gates.html",
    "verdict_json": ".gates.explain",
    "verdict_markdown": ".gates.markdown",
    "watch_error": ".watch.look",
    "watch_model": ".watch.look",
}

if TYPE_CHECKING:
    from headgate.tasks import model_format as model_format
    from headgate.tasks import tracking as tracking
    from headgate.tasks.approvals import ApprovalRequest as ApprovalRequest
    from headgate.tasks.approvals import approve as approve
    from headgate.tasks.approvals import asked_before as asked_before
    from headgate.tasks.approvals import record_answer as record_answer
    from headgate.tasks.approvals import reject as reject
    from headgate.tasks.approvals import request_approval as request_approval
    from headgate.tasks.approvals import require_approval as require_approval
    from headgate.tasks.evaluate import Evaluation as Evaluation
    from headgate.tasks.evaluate import evaluate_champion as evaluate_champion
    from headgate.tasks.evaluate import evaluate_model as evaluate_model
    from headgate.tasks.evaluators.evaluator import Evaluator as Evaluator
    from headgate.tasks.expectations.results import DataValidation as DataValidation
    from headgate.tasks.expectations.sql import SqlTable as SqlTable
    from headgate.tasks.expectations.suite import load_suite as load_suite
    from headgate.tasks.functions.tracked import tracked as tracked
    from headgate.tasks.gates.decide import decide as decide
    from headgate.tasks.gates.definition import gate_from_definition as gate_from_definition
    from headgate.tasks.gates.evidence import Evidence as Evidence
    from headgate.tasks.gates.explain import decision_json as decision_json
    from headgate.tasks.gates.explain import explain as explain
    from headgate.tasks.gates.explain import verdict_json as verdict_json
    from headgate.tasks.gates.file import load_gate as load_gate
    from headgate.tasks.gates.file import parse_gate as parse_gate
    from headgate.tasks.gates.html import verdict_html as verdict_html
    from headgate.tasks.gates.markdown import verdict_markdown as verdict_markdown
    from headgate.tasks.gates.model import AllOf as AllOf
    from headgate.tasks.gates.model import AnyOf as AnyOf
    from headgate.tasks.gates.model import Approval as Approval
    from headgate.tasks.gates.model import Budget as Budget
    from headgate.tasks.gates.model import Expectations as Expectations
    from headgate.tasks.gates.model import Freshness as Freshness
    from headgate.tasks.gates.model import Function as Function
    from headgate.tasks.gates.model import Gate as Gate
    from headgate.tasks.gates.model import Improvement as Improvement
    from headgate.tasks.gates.model import NoChampion as NoChampion
    from headgate.tasks.gates.model import Signature as Signature
    from headgate.tasks.gates.model import Threshold as Threshold
    from headgate.tasks.guards import load_guards as load_guards
    from headgate.tasks.guards import set_guards as set_guards
    from headgate.tasks.measure import measure_champion as measure_champion
    from headgate.tasks.measure import measure_model as measure_model
    from headgate.tasks.process import ProcessScope as ProcessScope
    from headgate.tasks.projects.model import EntryPoint as EntryPoint
    from headgate.tasks.projects.model import Parameter as Parameter
    from headgate.tasks.projects.model import Project as Project
    from headgate.tasks.projects.source import load_project as load_project
    from headgate.tasks.promote import candidate_model_id as candidate_model_id
    from headgate.tasks.promote import champion_to_evaluate as champion_to_evaluate
    from headgate.tasks.promote import decide_promotion as decide_promotion
    from headgate.tasks.promote import gate_error as gate_error
    from headgate.tasks.promote import override as override
    from headgate.tasks.promote import promote as promote
    from headgate.tasks.promote import promote_if_passing as promote_if_passing
    from headgate.tasks.promote import promoted_before as promoted_before
    from headgate.tasks.promote import roll_back as roll_back
    from headgate.tasks.reap import reap as reap
    from headgate.tasks.register import register_model as register_model
    from headgate.tasks.run_project import RunResult as RunResult
    from headgate.tasks.run_project import run_project as run_project
    from headgate.tasks.stopping import StopRequest as StopRequest
    from headgate.tasks.validate_data import validate_data as validate_data
    from headgate.tasks.validate_data import validation_error as validation_error
    from headgate.tasks.watch.file import load_watch as load_watch
    from headgate.tasks.watch.look import Watched as Watched
    from headgate.tasks.watch.look import look_after_promotion as look_after_promotion
    from headgate.tasks.watch.look import watch_error as watch_error
    from headgate.tasks.watch.look import watch_model as watch_model
    from headgate.tasks.watch.model import Over as Over
    from headgate.tasks.watch.model import Watch as Watch
    from headgate.tasks.watch.model import WatchCheck as WatchCheck
    from headgate.tasks.webhooks.deliver import deliver_webhooks as deliver_webhooks

__all__ = [
    "AllOf",
    "AnyOf",
    "Approval",
    "ApprovalRequest",
    "Budget",
    "DataValidation",
    "EntryPoint",
    "Evaluation",
    "Evaluator",
    "Evidence",
    "Expectations",
    "Freshness",
    "Function",
    "Gate",
    "Improvement",
    "NoChampion",
    "Over",
    "Parameter",
    "ProcessScope",
    "Project",
    "RunResult",
    "Signature",
    "SqlTable",
    "StopRequest",
    "Threshold",
    "Watch",
    "WatchCheck",
    "Watched",
    "approve",
    "asked_before",
    "candidate_model_id",
    "champion_to_evaluate",
    "decide",
    "decide_promotion",
    "decision_json",
    "deliver_webhooks",
    "evaluate_champion",
    "evaluate_model",
    "explain",
    "gate_error",
    "gate_from_definition",
    "load_gate",
    "load_guards",
    "load_project",
    "load_suite",
    "load_watch",
    "look_after_promotion",
    "measure_champion",
    "measure_model",
    "model_format",
    "override",
    "parse_gate",
    "promote",
    "promote_if_passing",
    "promoted_before",
    "reap",
    "record_answer",
    "register_model",
    "reject",
    "request_approval",
    "require_approval",
    "roll_back",
    "run_project",
    "set_guards",
    "tracked",
    "tracking",
    "validate_data",
    "validation_error",
    "verdict_html",
    "verdict_json",
    "verdict_markdown",
    "watch_error",
    "watch_model",
]
__getattr__, __dir__ = lazy_face(__name__, _NAMES)
