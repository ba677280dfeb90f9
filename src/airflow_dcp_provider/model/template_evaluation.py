"""Computing a template from its syntax tree, within limits.

The tree is walked, not compiled: what a node does is what its method here does, each step is counted, and each value is measured
before it is used. So a template ends, whatever an author writes and in whichever thread it is computed, and it leads nowhere but to
the run's values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from jinja2 import nodes

from airflow_dcp_provider.model import template_methods as methods
from airflow_dcp_provider.model import template_values as values
from airflow_dcp_provider.model.template_filters import FILTERS, FILTERS_OF_ITEMS, TESTS
from airflow_dcp_provider.model.template_state import MACRO_FUNCTIONS, MACROS_ITSELF, RANGE, Budget, Function, Scope
from airflow_dcp_provider.model.template_tree import path_of
from airflow_dcp_provider.model.template_values import LimitFault, Loop, Missing, TemplateFault

#: The longest text that a template may write.
MAX_OUTPUT = 1_000_000

#: What may be written beside what prints: an SQL text is no place for other control characters.
_WHITE_SPACE = frozenset("\t\n\r")


class Evaluation:
    """Computes templates over one set of names.

    :param names: what a template may name, beside ``macros`` and ``range``.
    :param budget: what it may do.
    """

    def __init__(self, names: Mapping[str, Any], budget: Budget) -> None:
        self.budget = budget
        self.output = 0
        self.top = Scope({**names, "macros": MACROS_ITSELF, "range": RANGE})

    def render(self, tree: nodes.Template) -> str:
        """Return the text that a template writes.

        :raises TemplateFault: when it cannot be computed.
        """
        written: list[str] = []
        self.output = 0
        self.run(tree.body, Scope({}, self.top), written)
        return "".join(written)

    # What a lint that does not know every value does in another way.

    def apply(self, what: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Return ``function`` of the arguments, with their sizes and the result's counted."""
        for each in (*arguments, *named.values()):
            if isinstance(each, Missing):
                raise TemplateFault(f"`{each.what}` is not defined", code="DCP166")
            self.budget.handle(values.weight(each))
        try:
            result = function(*arguments, **named)
        except TemplateFault:
            raise
        except Exception as error:  # noqa: BLE001 - the functions are ours and pure; what they refuse is the template's fault
            raise TemplateFault(f"{what} fails: {type(error).__name__}: {error}") from None
        self.budget.handle(values.weight(result))
        return result

    def is_true(self, node: nodes.Node, scope: Scope) -> bool:
        """Return whether a condition holds."""
        return self.truth(self.value(node, scope), node)

    def truth(self, value: Any, node: nodes.Node) -> bool:
        """Return whether a condition's value counts as true."""
        del node
        if isinstance(value, Missing):
            raise TemplateFault(f"`{value.what}` is not defined", code="DCP166")
        return bool(value)

    def items(self, node: nodes.For, value: Any) -> Sequence[Any]:
        """Return what a loop runs over."""
        del node
        if type(value) in (list, tuple, dict, str):
            return list(value)
        if isinstance(value, Missing):
            raise TemplateFault(f"`{value.what}` is not defined", code="DCP166")
        raise TemplateFault("a loop runs over a list, a map or a text")

    def write(self, node: nodes.Node, value: Any, written: list[Any]) -> None:
        """Write a value where it stands."""
        del node
        if isinstance(value, Missing):
            raise TemplateFault(f"`{value.what}` is not defined", code="DCP166")
        self.append(values.text_of(value), written)

    def append(self, text: str, written: list[Any]) -> None:
        """Write a text, which must be one that every reader can take."""
        self._count(text)
        if not text.isprintable():
            for character in text:
                control = character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff"
                if control and character not in _WHITE_SPACE:
                    raise TemplateFault(f"a template writes the control character U+{ord(character):04X}")
        written.append(text)

    def _count(self, text: str) -> None:
        self.budget.handle(len(text) + 1)
        self.output += len(text)
        if self.output > MAX_OUTPUT:
            raise LimitFault(f"the templates write more than {MAX_OUTPUT} characters")

    # Statements.

    def run(self, statements: Sequence[nodes.Node], scope: Scope, written: list[Any]) -> None:
        """Carry statements out, in order."""
        for statement in statements:
            self.budget.step()
            self._STATEMENTS[type(statement)](self, statement, scope, written)

    def _output(self, node: nodes.Output, scope: Scope, written: list[Any]) -> None:
        for part in node.nodes:
            if isinstance(part, nodes.TemplateData):
                self.write_plain(part, written)
            else:
                self.write(part, self.value(part, scope), written)

    def write_plain(self, node: nodes.TemplateData, written: list[Any]) -> None:
        """Write the text between templates."""
        self._count(node.data)
        written.append(node.data)

    def _if(self, node: nodes.If, scope: Scope, written: list[Any]) -> None:
        for branch in (node, *node.elif_):
            if self.is_true(branch.test, scope):
                self.run(branch.body, scope, written)
                return
        self.run(node.else_, scope, written)

    def _for(self, node: nodes.For, scope: Scope, written: list[Any]) -> None:
        items = self.items(node, self.value(node.iter, scope))
        if node.test is not None:
            kept = []
            for item in items:
                self.budget.turn()
                inner = Scope({}, scope)
                self.assign(node.target, item, inner)
                if self.is_true(node.test, inner):
                    kept.append(item)
            # Lint has a kind of list of its own.
            items = type(items)(kept) if isinstance(items, list | tuple) else kept
        for place, item in enumerate(items):
            self.budget.turn()
            inner = Scope({"loop": Loop(items, place)}, scope)
            self.assign(node.target, item, inner)
            self.run(node.body, inner, written)
        if not items:
            self.run(node.else_, Scope({}, scope), written)

    def _set(self, node: nodes.Assign, scope: Scope, written: list[Any]) -> None:
        del written
        self.assign(node.target, self.value(node.node, scope), scope)

    def _set_block(self, node: nodes.AssignBlock, scope: Scope, written: list[Any]) -> None:
        del written
        inside: list[Any] = []
        self.run(node.body, Scope({}, scope), inside)
        self.assign(node.target, self.joined(inside), scope)

    def joined(self, written: list[Any]) -> Any:
        """Return what a block wrote, as a value."""
        return self.apply("{% set %}", values.concat, *written)

    def _with(self, node: nodes.With, scope: Scope, written: list[Any]) -> None:
        inner = Scope({}, scope)
        for target, value in zip(node.targets, node.values, strict=True):
            self.assign(target, self.value(value, scope), inner)
        self.run(node.body, inner, written)

    def assign(self, target: nodes.Node, value: Any, scope: Scope) -> None:
        """Give a name a value, or each of several names one of a list's items."""
        if isinstance(target, nodes.Name):
            scope.names[target.name] = value
        elif isinstance(target, nodes.Tuple):
            for name, item in zip(target.items, self.unpacked(value, len(target.items)), strict=True):
                self.assign(name, item, scope)
        else:
            raise TemplateFault("only names can be given a value")

    def unpacked(self, value: Any, count: int) -> Sequence[Any]:
        """Return the ``count`` items of a list."""
        if type(value) not in (list, tuple, str) or len(value) != count:
            raise TemplateFault(f"{count} names need a list of {count} items")
        return list(value)

    # Expressions.

    def value(self, node: nodes.Node, scope: Scope) -> Any:
        """Return the value of an expression."""
        self.budget.step()
        return self._EXPRESSIONS[type(node)](self, node, scope)

    def _name(self, node: nodes.Name, scope: Scope) -> Any:
        return scope.get(node.name)

    def _constant(self, node: nodes.Const, scope: Scope) -> Any:
        del scope
        return node.value

    def _text(self, node: nodes.TemplateData, scope: Scope) -> Any:
        del scope
        return node.data

    def _list(self, node: nodes.List | nodes.Tuple, scope: Scope) -> Any:
        items = [self.value(item, scope) for item in node.items]
        return self.apply("the list", lambda *each: list(each) if isinstance(node, nodes.List) else each, *items)

    def _dict(self, node: nodes.Dict, scope: Scope) -> Any:
        pairs = [(self.value(pair.key, scope), self.value(pair.value, scope)) for pair in node.items]
        keys, items = [key for key, _ in pairs], [item for _, item in pairs]

        def made(*each: Any) -> dict[Any, Any]:
            values.check_keys(each[: len(keys)])
            return dict(zip(each[: len(keys)], each[len(keys) :], strict=True))

        return self.apply("the map", made, *keys, *items)

    def _choice(self, node: nodes.CondExpr, scope: Scope) -> Any:
        if self.is_true(node.test, scope):
            return self.value(node.expr1, scope)
        return "" if node.expr2 is None else self.value(node.expr2, scope)

    def _binary(self, node: nodes.BinExpr, scope: Scope) -> Any:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        return self.apply(f"`{node.operator}`", values.OPERATORS[type(node).__name__], left, right)

    def _concat(self, node: nodes.Concat, scope: Scope) -> Any:
        return self.concat([self.value(part, scope) for part in node.nodes])

    def concat(self, parts: list[Any]) -> Any:
        """Return ``a ~ b``."""
        return self.apply("`~`", values.concat, *parts)

    def _compare(self, node: nodes.Compare, scope: Scope) -> Any:
        left = self.value(node.expr, scope)
        result: Any = True
        for operand in node.ops:
            right = self.value(operand.expr, scope)
            result = self.apply("the comparison", values.COMPARISONS[operand.op], left, right)
            if result is False:
                return False
            left = right
        return result

    def _and(self, node: nodes.And, scope: Scope) -> Any:
        left = self.value(node.left, scope)
        return self.value(node.right, scope) if self.truth(left, node.left) else left

    def _or(self, node: nodes.Or, scope: Scope) -> Any:
        left = self.value(node.left, scope)
        return left if self.truth(left, node.left) else self.value(node.right, scope)

    def _not(self, node: nodes.Not, scope: Scope) -> Any:
        return not self.is_true(node.node, scope)

    def _sign(self, node: nodes.Neg | nodes.Pos, scope: Scope) -> Any:
        value = self.value(node.node, scope)
        return self.apply(f"`{node.operator}`", lambda number: -number if isinstance(node, nodes.Neg) else +number, value)

    def _item(self, node: nodes.Getitem, scope: Scope) -> Any:
        owner = self.value(node.node, scope)
        if isinstance(node.arg, nodes.Slice):
            bounds = [None if each is None else self.value(each, scope) for each in (node.arg.start, node.arg.stop, node.arg.step)]
            return self.apply("the slice", methods.slice_of, owner, *bounds)
        key = self.value(node.arg, scope)
        if isinstance(key, str) and (isinstance(owner, Function | Loop) or owner is MACROS_ITSELF):
            return self.attribute(owner, key, node)
        return self.part(methods.item_of, owner, key, node)

    def _attribute(self, node: nodes.Getattr, scope: Scope) -> Any:
        return self.attribute(self.value(node.node, scope), node.attr, node)

    def attribute(self, owner: Any, name: str, node: nodes.Node) -> Any:
        """Return ``owner.name``."""
        if owner is MACROS_ITSELF:
            return MACRO_FUNCTIONS.get(name, Missing(f"macros.{name}"))
        if isinstance(owner, Function):
            member = owner.members.get(name)
            return Function(f"{owner.name}.{name}", member, {}) if member else Missing(f"{owner.name}.{name}")
        return self.part(methods.attribute_of, owner, name, node)

    def part(self, read: Callable[..., Any], owner: Any, name: Any, node: nodes.Node) -> Any:
        """Return an item or attribute of a value."""
        if isinstance(owner, Missing):
            raise TemplateFault(f"`{owner.what}` is not defined", code="DCP166")
        return read(owner, name, ".".join(path_of(node)) or str(name))

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test, scope: Scope) -> tuple[list[Any], dict[str, Any]]:
        return [self.value(each, scope) for each in node.args], {
            str(each.key): self.value(each.value, scope) for each in node.kwargs
        }

    def _call(self, node: nodes.Call, scope: Scope) -> Any:
        callee = node.node
        if isinstance(callee, nodes.Getattr):
            owner, name = self.value(callee.node, scope), callee.attr
            if owner is not MACROS_ITSELF and not isinstance(owner, Function):
                arguments, named = self._arguments(node, scope)
                return self.call_method(owner, name, arguments, named, callee)
            function = self.attribute(owner, name, callee)
        else:
            function = self.value(callee, scope)
        arguments, named = self._arguments(node, scope)
        if isinstance(function, Missing):
            raise TemplateFault(f"`{function.what}` is not defined", code="DCP166")
        if not isinstance(function, Function):
            raise TemplateFault("only methods and macros can be called")
        return self.apply(f"`{function.name}`", function.call, *arguments, **named)

    def call_method(self, owner: Any, name: str, arguments: list[Any], named: dict[str, Any], node: nodes.Node) -> Any:
        """Return ``owner.name(...)``."""
        if isinstance(owner, Missing):
            raise TemplateFault(f"`{owner.what}` is not defined", code="DCP166")
        del node
        method = methods.METHODS.get(type(owner), {}).get(name)
        if method is None:
            raise TemplateFault(f"a value of the type {type(owner).__name__} has no method `{name}`")
        return self.apply(f"`{name}`", method, owner, *arguments, **named)

    def _filter(self, node: nodes.Filter, scope: Scope) -> Any:
        value = self.value(node.node, scope) if node.node is not None else ""
        arguments, named = self._arguments(node, scope)
        if node.name in {"default", "d"}:
            return self.default(value, *arguments, **named)
        if node.name not in FILTERS:
            raise TemplateFault(f"there is no filter `{node.name}`", code="DCP166")
        return self.filtered(node.name, value, arguments, named)

    def filtered(self, name: str, value: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        """Return ``value | name(...)``."""

        def counted(items: Any, *known: Any, **more: Any) -> Any:
            if name in FILTERS_OF_ITEMS and isinstance(items, str | list | tuple | dict):
                # Each item is handled together with all that the filter is given.
                self.budget.handle(len(items) * sum(map(values.weight, known)))
            return FILTERS[name](items, *known, **more)

        return self.apply(f"the filter `{name}`", counted, value, *arguments, **named)

    def default(self, value: Any, default_value: Any = "", boolean: Any = False) -> Any:
        """Return the value, or where it is missing the default."""
        return default_value if isinstance(value, Missing) or (boolean and not value) else value

    def _test(self, node: nodes.Test, scope: Scope) -> Any:
        value = self.value(node.node, scope)
        arguments, named = self._arguments(node, scope)
        if node.name in {"defined", "undefined"}:
            return isinstance(value, Missing) == (node.name == "undefined")
        if node.name not in TESTS:
            raise TemplateFault(f"there is no test `{node.name}`", code="DCP166")
        return self.apply(f"the test `{node.name}`", TESTS[node.name], value, *arguments, **named)

    _STATEMENTS: ClassVar[Mapping[type, Callable[..., None]]] = {
        nodes.Output: _output,
        nodes.If: _if,
        nodes.For: _for,
        nodes.Assign: _set,
        nodes.AssignBlock: _set_block,
        nodes.With: _with,
    }
    _EXPRESSIONS: ClassVar[Mapping[type, Callable[..., Any]]] = {
        nodes.Name: _name,
        nodes.Const: _constant,
        nodes.TemplateData: _text,
        nodes.List: _list,
        nodes.Tuple: _list,
        nodes.Dict: _dict,
        nodes.CondExpr: _choice,
        nodes.Concat: _concat,
        nodes.Compare: _compare,
        nodes.And: _and,
        nodes.Or: _or,
        nodes.Not: _not,
        nodes.Neg: _sign,
        nodes.Pos: _sign,
        nodes.Getitem: _item,
        nodes.Getattr: _attribute,
        nodes.Call: _call,
        nodes.Filter: _filter,
        nodes.Test: _test,
        **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow), _binary),
    }
