"""One row of every tenant's table with a canary in every text: what the product's own verbs did not reach.

Derived from the models, so a new one is filled without anybody adding it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import combinations
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from governance.database.fields import OwnerField, TenantForeignKey, TenantModel
from governance.database.inserts import insert
from governance.database.isolation import tenant_models
from governance.database.scoped import IN_SCOPE
from incidents.models import Incident

from .words import Words


def _told(words: Words) -> list[dict[str, Any]]:
    """Policies as a decision remembers them."""
    return [{"id": words(), "name": words(), "action": words(), "version": 1}]


# Values of a form that whoever reads them relies on.
AS_THEY_MUST_BE: dict[str, dict[str, Callable[[Words], Any]]] = {
    "governance.Checkpoint": {"state": lambda words: "rejected"},
    "governance.LoopTrace": {
        "incident_id": lambda words: Incident.objects.latest("pk").pk,
        "generation": lambda words: 2,
    },
    "governance.Bypass": {
        "state": lambda words: "ended",
        "requested_by": lambda words: f"user:{words()}",
        "confirmed_by": lambda words: f"user:{words()}",
        "expires_at": lambda words: timezone.now() + timedelta(minutes=10),
        "confirmed_at": lambda words: timezone.now(),
        "ends_at": lambda words: timezone.now() + timedelta(minutes=30),
    },
    # A pattern that stands for itself: what is merged into another is told with that one.
    "catalog.Pattern": {"root": lambda words: None, "members": lambda words: []},
    "catalog.Teaching": {
        "kind": lambda words: "renamed",
        "facts": lambda words: {"before": {"name": words()}, "after": {"name": words()}},
    },
    "policies.Decision": {"policies": _told, "would_block": _told},
    # Real ones are written by the guard alone: the database asks for the whole contract.
    "policies.Prevention": {"simulated": lambda words: True, "similarity": lambda words: 0.7},
    "policies.Regret": {"type": lambda words: "caused_incident"},
}
# Tables of which one row is all there may be, or whose rows must be what the verbs write: the verbs filled them.
VERBS_FILLED = {
    "governance.LedgerEntry",
    "governance.LedgerLeaf",
    "governance.LedgerNode",
    "governance.LedgerPayload",
    "governance.Settings",
    "policies.PolicySet",
    "policies.PolicySetNode",
    "policies.PolicySnapshot",
}

# Columns of text that hold nothing which anybody wrote.
NO_FREE_TEXT = {
    "governance.LoopTrace.incident_id": "an id",
    "governance.LedgerEntry.kind": "words of ours",
    "governance.LedgerEntry.subject": "an id",
    "governance.LedgerEntry.actor": "a kind and a number",
    "governance.LedgerEntry.gesture": "an id",
    "governance.Settings.checkpoints_off": "words of ours",
    "policies.PolicySet.root": "a hash",
    "policies.PolicySetNode.hash": "a hash",
    "policies.PolicySnapshot.hash": "a hash",
    "governance.Settings.checkpoints_advisory": "words of ours",
}


def fill(words: Words, user: models.Model) -> None:
    """Write the rows of the tenant in scope. Raises AssertionError naming a model that could not be filled."""
    for model in in_order(tenant_models()):
        if model._meta.label not in VERBS_FILLED:
            _fill_one(model, words, user)
        elif not model.append_only:
            _complete(model, words)


def _complete(model: type[TenantModel], words: Words) -> None:
    """Put a canary into every text of the row that a verb left empty."""
    [row] = model._default_manager.all()
    for field in model._meta.local_fields:
        is_text = isinstance(field, models.CharField | models.TextField) and not field.choices
        if is_text and getattr(row, field.name) == "":
            setattr(row, field.name, words(getattr(field, "max_length", None)))
    row.save()


def in_order(wanted: Iterable[type[TenantModel]]) -> Iterator[type[TenantModel]]:
    """Models after those that they point at."""
    waiting, done = list(wanted), set[type[models.Model]]()
    while waiting:
        free = [model for model in waiting if not (_targets(model) & set(waiting)) - {model}]
        assert free, f"these point at each other: {waiting}"
        yield from free
        done |= set(free)
        waiting = [model for model in waiting if model not in done]


def _targets(model: type[models.Model]) -> set[Any]:
    return {
        field.related_model
        for field in model._meta.local_fields
        if isinstance(field, TenantForeignKey)
    }


def _fill_one(model: type[TenantModel], words: Words, user: models.Model) -> None:
    """With every reference, or without as many as the table's constraints will not have."""
    optional = [
        field.name
        for field in model._meta.local_fields
        if isinstance(field, models.ForeignKey) and field.null
    ]
    problem: Exception | None = None
    for count in range(len(optional) + 1):
        for left_out in combinations(optional, count):
            try:
                with transaction.atomic():
                    insert([_row(model, words, user, left_out)])
            except IntegrityError as error:
                problem = error
            else:
                return
    raise AssertionError(
        f"{model._meta.label} cannot be filled: say in tests/isolation/filling.py what a row needs"
    ) from problem


def _row(
    model: type[TenantModel], words: Words, user: models.Model, left_out: tuple[str, ...]
) -> TenantModel:
    fixed = AS_THEY_MUST_BE.get(model._meta.label, {})
    values = {
        field.name: fixed[field.name](words) if field.name in fixed else _value(field, words, user)
        for field in model._meta.local_fields
        if field.name not in left_out and not _is_the_databases(field)
    }
    return model(**values)


def _is_the_databases(field: models.Field[Any, Any]) -> bool:
    """Whether the value is given by the database or the model itself."""
    return bool(
        field.primary_key
        or field.generated
        or isinstance(field, OwnerField)
        or field.name == "created_at"
        or (isinstance(field, models.IntegerField) and field.has_db_default())
    )


def _value(field: models.Field[Any, Any], words: Words, user: models.Model) -> Any:
    if isinstance(field, models.ForeignKey):
        related = field.related_model
        is_person = related is get_user_model()
        return user if is_person else related._default_manager.order_by("pk").last()
    if field.choices:
        return next(value for value, _ in field.flatchoices if value != "")
    return _usual(field, words)


def _usual(field: models.Field[Any, Any], words: Words) -> Any:
    match field:
        case models.CharField(max_length=longest):
            return words(longest)
        case models.TextField():
            return f"{words()} {words()}"
        case models.JSONField():
            return [{"note": words()}] if field.default is list else {words(): [{"note": words()}]}
        case models.BinaryField(max_length=longest):
            return words().encode().ljust(longest or 0, b".")
        case models.DateTimeField():
            return timezone.now() + timedelta(hours=1)
        case models.BooleanField():
            return field.default if field.has_default() else False
        case models.FloatField():
            return 0.5
        case models.IntegerField():
            return 1
    raise AssertionError(f"{field}: say in tests/isolation/filling.py what it holds")


def texts_without(mark: str) -> list[str]:
    """Columns of text in which the tenant in scope has no canary; those of few allowed words left out."""
    empty = set()
    for model in tenant_models():
        for field in model._meta.local_fields:
            if field.choices or field.primary_key or isinstance(field, models.ForeignKey):
                continue
            if isinstance(field, models.CharField | models.TextField | models.JSONField):
                with connection.cursor() as cursor:
                    cursor.execute(
                        f"SELECT count(*) FROM {model._meta.db_table}"
                        f" WHERE tenant_id = %s AND {field.column}::text LIKE %s",
                        [IN_SCOPE, f"%{mark}%"],
                    )
                    if cursor.fetchone() == (0,):
                        empty.add(f"{model._meta.label}.{field.name}")
    return sorted(empty - NO_FREE_TEXT.keys())
