"""Trees of conditions in one spelling, made from the engine's own checked form (`policies.syntax`)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from policies import syntax
from policies.conditions import compile_condition
from policies.meaning.tree import (
    MAPS,
    Call,
    Const,
    Entries,
    Field,
    Has,
    Items,
    Macro,
    Name,
    Node,
)


class Unreadable(ValueError):
    """The engine's form holds something that no condition can say: the engine has changed."""


@lru_cache(maxsize=16_384)
def tree(source: str) -> Node:
    """A condition's tree. Raises ConditionError where it does not compile."""
    return _node(compile_condition(source).tree(), {})


def _node(read: syntax.Tree, scope: Mapping[str, str]) -> Node:
    """``scope``: what the macros around it call their variables, and what the tree calls them."""
    match read:
        case syntax.Constant(kind, value):
            return Const(kind, value)
        case syntax.Name("action.arguments"):
            return Name("arguments")
        case syntax.Name(name):
            return Name(scope.get(name, name))
        case syntax.Select(of, name, is_test):
            owner = _node(of, scope)
            return Has(owner, name) if is_test else Field(owner, name)
        case syntax.Call():
            return _call(read, scope)
        case syntax.ListOf(elements):
            return Items(tuple(_node(item, scope) for item in elements))
        case syntax.MapOf(entries):
            return Entries(
                tuple((_node(key, scope), _node(value, scope)) for key, value in entries)
            )
        case syntax.Loop():
            return _macro(read, scope)


def _call(read: syntax.Call, scope: Mapping[str, str]) -> Node:
    args = [_node(each, scope) for each in read.arguments]
    match read.function, args:
        case "_[_]", [of, Const("string", name)]:
            return Field(of, name)
        case "@in", [Const("string", name), Name(owner) as of] if owner in MAPS:
            return Has(of, name)
        case "-_", [Const("int" | "double" as kind, value)] if value >= 0:
            return Const(kind, -value)
    return Call(read.function, tuple(args), is_method=read.is_method)


def _macro(read: syntax.Loop, scope: Mapping[str, str]) -> Macro:
    variable = f"_{len(scope)}"
    match _node(read.step, {**scope, read.variable: variable}):
        case Call("_||_", (Name("@result"), body)):
            word = "exists"
        case Call("_&&_", (Name("@result"), body)):
            word = "all"
        case _:
            raise Unreadable("a macro that is neither exists nor all")
    return Macro(word, _node(read.over, scope), variable, body)
