"""What templates come to before a run: parameters and dates are known, what steps will log is not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headgate.flows.parameters import ParameterValue
from headgate.flows.references import ParameterReference, Reference, RunReference, Template
from headgate.store.clock import iso_date
from headgate.tasks.projects.secrets import MASK, recorded_value


@dataclass(frozen=True, slots=True)
class KnownValues:
    """Resolves what can be known before a run.

    Args:
        logical_date: epoch ms; None when it isn't known either.
    """

    parameters: Mapping[str, ParameterValue]
    logical_date: int | None = None

    def value(self, template: Template) -> str | None:
        """Return the text that a template will have; None when only a run can tell."""
        if any(self._text(reference) is None for reference in template.references):
            return None
        return template.render(self._text)

    def shown(self, key: str, template: Template) -> str:
        """Return what a plan shows for the parameter ``key``: secrets masked, what is unknown as it is written."""
        if self.secret(template):
            return MASK
        text = template.render(self._text)
        return recorded_value(key, text, text) if self.value(template) is not None else text

    def secret(self, template: Template) -> bool:
        """Tell whether a secret parameter is a part of the value."""
        keys = [reference.key for reference in template.references if isinstance(reference, ParameterReference)]
        return any(self.parameters[key].secret for key in keys if key in self.parameters)

    def _text(self, reference: Reference) -> str | None:
        if isinstance(reference, ParameterReference):
            known = self.parameters.get(reference.key)
            return None if known is None else known.text
        if isinstance(reference, RunReference) and reference.field == "logical_date" and self.logical_date is not None:
            return iso_date(self.logical_date)
        return None
