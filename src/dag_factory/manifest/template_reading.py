"""Reading a template without a run: what it may write, in each of its branches.

The evaluation is that of a run, over values that are not known: what follows from constants and from the environment is computed,
everything else stays unknown and carries a sample and the names of the parameters in it. A condition that is not known takes each
of its ways in turn; a loop over what is not known turns twice, so that both its first and its last turn are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jinja2 import nodes

from airflow_dcp_provider.model import template_values as values
from airflow_dcp_provider.model.template_evaluation import Evaluation
from airflow_dcp_provider.model.template_methods import ATTRIBUTES, METHODS
from airflow_dcp_provider.model.template_state import Budget, Scope
from airflow_dcp_provider.model.template_tree import walk
from airflow_dcp_provider.model.template_values import LimitFault, Loop, Missing, TemplateFault
from dag_factory.manifest.template_places import Located, located_template
from dag_factory.manifest.template_values import NO_SAMPLE, Items, Mixed, Parameters, Unknown, Way, Written, one_value, stand_in

#: The most ways through a template's branches that are read, the most conditions on one, and the most steps on all of them.
MAX_WAYS = 64
MAX_CONDITIONS = 200
MAX_STEPS = 300_000


@dataclass
class _Choices:
    """Which way each unknown condition goes."""

    forced: Mapping[str, bool]
    covered: set[tuple[str, bool]]
    made: dict[str, bool] = field(default_factory=dict)

    def decide(self, key: str) -> bool:
        if key not in self.made:
            if len(self.made) >= MAX_CONDITIONS:
                raise LimitFault(f"the template has more than {MAX_CONDITIONS} conditions")
            way = self.forced.get(key)
            self.made[key] = ((key, True) not in self.covered or (key, False) in self.covered) if way is None else way
        return self.made[key]


@dataclass(frozen=True)
class Reading:
    """What a template may write.

    :param ways: each way through its branches; every branch is in one of them.
    :param faults: what is wrong with it, each with its place in the text.
    """

    ways: tuple[Way, ...]
    faults: tuple[tuple[TemplateFault, int], ...] = ()


def read_template(text: str, names: Mapping[str, Any]) -> Reading:
    """Return what ``text`` may write.

    :param names: what templates may name, unknown values among them.
    :returns: no ways when the text cannot be parsed; that is for the check of its syntax to report.
    """
    located = located_template(text)
    if located.parsed.tree is None:
        return Reading(())
    ways: list[Way] = []
    faults: list[tuple[TemplateFault, int]] = []
    covered: set[tuple[str, bool]] = set()
    waiting: list[dict[str, bool]] = [{}]
    steps = 0
    while waiting and not faults:
        choices = _Choices(waiting.pop(0), covered)
        if any(way not in covered for way in choices.forced.items()) or not ways:
            budget = Budget()
            evaluation = _LintEvaluation(names, budget, choices, located)
            try:
                ways.append(Way(evaluation.ways_parts(located.parsed.tree)))
            except TemplateFault as fault:
                faults.append((fault, evaluation.place))
            covered |= choices.made.items()
            before: dict[str, bool] = {}
            for key, way in choices.made.items():
                if (key, not way) not in covered:
                    waiting.append({**before, key: not way})
                before[key] = way
            steps += budget.steps + budget.work // 100
        if len(ways) > MAX_WAYS or steps > MAX_STEPS:
            faults.append((LimitFault(f"the template has more than {MAX_WAYS} ways through its branches, or too much in them"), 0))
    return Reading(tuple(ways), tuple(faults))


#: The largest number in a loop's body with which its turns are taken to be compared.
_MAX_TURNS = 50
#: Codes of faults that are reported also when a condition may keep a run from them.
_ALWAYS = frozenset({"DCP156", "DCP157"})


class _Turns(list[Any]):
    """Items of a list of which not even the length is known."""


class _RefusedFault(TemplateFault):
    """Something that no run can compute, also where a condition may keep it from that."""


def _sample(value: Any) -> Any:
    if isinstance(value, Missing):
        return NO_SAMPLE
    return value.sample if isinstance(value, Unknown) else value


class _LintEvaluation(Evaluation):
    """Computes what is known, and leaves unknown what is not."""

    def __init__(self, names: Mapping[str, Any], budget: Budget, choices: _Choices, located: Located) -> None:
        super().__init__(names, budget)
        self._choices = choices
        self._located = located
        self._keys: dict[int, tuple[str, bool]] = {}
        self.place = 0

    def ways_parts(self, tree: nodes.Template) -> tuple[Written, ...]:
        """Return what the template writes."""
        written: list[Written] = []
        self.output = 0
        self.run(tree.body, Scope({}, self.top), written)
        return tuple(written)

    def apply(self, what: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Compute what is known; of the rest compute a sample."""
        ones = [one_value(each) for each in (*arguments, *named.values())]
        unknown = any(isinstance(each, Unknown | Missing) for each in ones)
        parameters = frozenset[str]().union(*(each.parameters for each in ones if isinstance(each, Unknown)))
        samples = [_sample(each) for each in ones]
        if any(sample is NO_SAMPLE for sample in samples):
            return Unknown(parameters=parameters)
        count = len(arguments)
        try:
            result = super().apply(what, function, *samples[:count], **dict(zip(named, samples[count:], strict=True)))
        except TemplateFault as fault:
            # What fails may stand behind a condition that a run never meets; what is too large is refused wherever it stands.
            if fault.code in _ALWAYS and (not unknown or (not parameters and fault.code == "DCP157")):
                raise
            return Unknown(parameters=parameters)
        return Unknown(result, parameters) if unknown else result

    def truth(self, value: Any, node: nodes.Node) -> bool:
        if isinstance(value, Mixed):
            value = True if any(isinstance(part, str) and part for part in value.parts) else value.unknown()
        if isinstance(value, Missing | Parameters | Items):
            return not isinstance(value, Missing)
        if not isinstance(value, Unknown):
            return bool(value)
        if id(node) not in self._keys:
            self._keys[id(node)] = _key(node)
        key, positive = self._keys[id(node)]
        return self._choices.decide(key) == positive

    def items(self, node: nodes.For, value: Any) -> Sequence[Any]:
        if isinstance(value, Parameters):
            return self._turns(node, Unknown())
        if isinstance(value, Items):
            return value.items
        value = one_value(value)
        if isinstance(value, Missing):
            return []
        if isinstance(value, Unknown):
            if node.else_ and not self._choices.decide(f"for {node.iter!r}"):
                return []
            return self._turns(node, value)
        return super().items(node, value)

    def _turns(self, node: nodes.For, value: Unknown) -> _Turns:
        """Return the items of an unknown list: two, or as many as the body's numbers need that it may compare the turn with."""
        sample = list(value.sample) if isinstance(value.sample, list | tuple | dict) and value.sample else [NO_SAMPLE]
        numbers = [
            each.value
            for part in node.body
            for each, _, _ in walk(part)
            if isinstance(each, nodes.Const) and type(each.value) is int and each.value <= _MAX_TURNS
        ]
        return _Turns(Unknown(sample[turn % len(sample)], value.parameters) for turn in range(max([0, *numbers]) + 2))

    def unpacked(self, value: Any, count: int) -> Sequence[Any]:
        if isinstance(value, Items) and len(value.items) == count:
            return value.items
        value = one_value(value)
        if not isinstance(value, Unknown):
            return super().unpacked(value, count)
        if isinstance(value.sample, list | tuple) and len(value.sample) == count:
            return [Unknown(item, value.parameters) for item in value.sample]
        return [Unknown(parameters=value.parameters)] * count

    def _list(self, node: nodes.List | nodes.Tuple, scope: Scope) -> Any:
        items = [self.value(item, scope) for item in node.items]
        if any(isinstance(item, Unknown | Mixed | Items | Parameters | Missing) for item in items):
            self.budget.handle(len(items))
            return Items(tuple(Unknown() if isinstance(item, Missing) else item for item in items))
        return self.apply("the list", lambda *each: list(each), *items)

    def concat(self, parts: list[Any]) -> Any:
        return self._mixed(parts) if any(isinstance(part, Unknown | Mixed) for part in parts) else super().concat(parts)

    def joined(self, written: list[Any]) -> Any:
        return self._mixed([part.text if part.value is None else part.value for part in written])

    def _mixed(self, parts: list[Any]) -> Any:
        flat: list[str | Unknown] = []
        for part in parts:
            flat += [_text_or_unknown(each) for each in (part.parts if isinstance(part, Mixed) else (part,))]
        self.budget.handle(sum(len(part) if isinstance(part, str) else values.weight(part.sample_text or "") for part in flat))
        if len(flat) > values.MAX_ITEMS or sum(len(part) for part in flat if isinstance(part, str)) > values.MAX_TEXT:
            raise LimitFault(f"a text has more than {values.MAX_TEXT} characters")
        return Mixed(tuple(flat)) if any(isinstance(part, Unknown) for part in flat) else "".join(map(str, flat))

    def _binary(self, node: nodes.BinExpr, scope: Scope) -> Any:
        if not isinstance(node, nodes.Add):
            return super()._binary(node, scope)
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        if any(isinstance(each, str | Mixed) for each in (left, right)) and any(
            isinstance(each, Unknown | Mixed) for each in (left, right)
        ):
            return self._mixed([left, right])
        return self.apply("`+`", values.add, left, right)

    def _or(self, node: nodes.Or, scope: Scope) -> Any:
        left = one_value(self.value(node.left, scope))
        if not isinstance(left, Unknown):
            return left if self.truth(left, node.left) else self.value(node.right, scope)
        return self._either(left, self.value(node.right, scope))

    def _and(self, node: nodes.And, scope: Scope) -> Any:
        left = one_value(self.value(node.left, scope))
        if not isinstance(left, Unknown):
            return self.value(node.right, scope) if self.truth(left, node.left) else left
        return self._either(self.value(node.right, scope), left)

    def _either(self, first: Any, second: Any) -> Unknown:
        both = [each if isinstance(each, Unknown) else Unknown(each) for each in map(one_value, (first, second))]
        return Unknown(both[0].sample, both[0].parameters | both[1].parameters)

    def _not(self, node: nodes.Not, scope: Scope) -> Any:
        value = one_value(self.value(node.node, scope))
        if isinstance(value, Unknown):
            return Unknown(parameters=value.parameters)
        return not self.truth(value, node.node)

    def part(self, read: Callable[..., Any], owner: Any, name: Any, node: nodes.Node) -> Any:
        if isinstance(owner, Loop) and isinstance(owner.items, _Turns) and name in {"length", "revindex", "revindex0"}:
            return Unknown()
        if isinstance(owner, Parameters) and type(name) is str:
            return owner.unknown(name)
        if isinstance(owner, Items) and type(name) is int and -len(owner.items) <= name < len(owner.items):
            return owner.items[name]
        if type(owner) is dict and type(name) is str:
            return super().part(read, owner, name, node)
        return self._part_of_one(read, one_value(owner), one_value(name), node)

    def _part_of_one(self, read: Callable[..., Any], owner: Any, name: Any, node: nodes.Node) -> Any:
        if isinstance(owner, Missing):
            return Unknown()
        if type(name) is str and type(_sample(owner)) in METHODS and not (isinstance(owner, Unknown) and owner.parameters):
            self._check_part(_sample(owner), name)
        if not isinstance(owner, Unknown) and not isinstance(name, Unknown):
            return super().part(read, owner, name, node)
        parameters = frozenset[str]().union(*(each.parameters for each in (owner, name) if isinstance(each, Unknown)))
        samples = [_sample(each) for each in (owner, name)]
        if any(sample is NO_SAMPLE for sample in samples):
            return Unknown(parameters=parameters)
        sample = read(*samples, "")
        return Unknown(NO_SAMPLE if isinstance(sample, Missing) else sample, parameters)

    def _check_part(self, owner: Any, name: str) -> None:
        """Refuse what a text or date does not have, in a run as little as here."""
        if type(owner) is dict or name in ATTRIBUTES.get(type(owner), {}):
            return
        hint = f"call it: {name}(...)" if name in METHODS[type(owner)] else "write a value that follows from the run"
        raise _RefusedFault(f"`{name}` is nothing that templates can read of a value of the type {type(owner).__name__}", hint=hint)

    def call_method(self, owner: Any, name: str, arguments: list[Any], named: dict[str, Any], node: nodes.Node) -> Any:
        if isinstance(owner, Parameters):
            first = arguments[0] if arguments else None
            return owner.unknown(first) if name == "get" and isinstance(first, str) else Unknown()
        del node
        owner = one_value(owner)
        if isinstance(owner, Missing):
            return Unknown()
        sample = owner.sample if isinstance(owner, Unknown) else owner
        method = METHODS.get(type(sample), {}).get(name)
        if method is None:
            if type(sample) in METHODS and not (isinstance(owner, Unknown) and owner.parameters):
                raise _RefusedFault(f"a value of the type {type(sample).__name__} has no method `{name}` in templates")
            return Unknown(parameters=owner.parameters if isinstance(owner, Unknown) else frozenset())
        return self.apply(f"`{name}`", method, owner, *arguments, **named)

    def filtered(self, name: str, value: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        result = super().filtered(name, value, arguments, named)
        if name != "sql":
            return result
        return Unknown(result.sample, result.parameters, literal=True) if isinstance(result, Unknown) else result

    def default(self, value: Any, default_value: Any = "", boolean: Any = False) -> Any:
        if isinstance(value, Unknown) and value.sample is NO_SAMPLE and not isinstance(default_value, Unknown | Mixed | Missing):
            return Unknown(default_value, value.parameters)
        return value if isinstance(value, Unknown | Mixed) else super().default(value, default_value, boolean)

    def _test(self, node: nodes.Test, scope: Scope) -> Any:
        value = self.value(node.node, scope)
        if node.name in {"defined", "undefined"} and isinstance(value, Unknown):
            return Unknown(parameters=value.parameters)
        return super()._test(node, scope)

    def _call(self, node: nodes.Call, scope: Scope) -> Any:
        try:
            return super()._call(node, scope)
        except TemplateFault as fault:
            if fault.code in _ALWAYS or isinstance(fault, _RefusedFault):
                raise
            return Unknown()

    def write_plain(self, node: nodes.TemplateData, written: list[Any]) -> None:
        self._count(node.data)
        at = 0
        for length, start, end in self._located.pieces(node):
            written.append(Written(node.data[at : at + length], start, end))
            at += length

    def write(self, node: nodes.Node, value: Any, written: list[Any]) -> None:
        pieces = [*self._located.pieces(node)]
        start, end = pieces[0][1], pieces[-1][2]
        self.place = start
        if isinstance(value, Missing):
            value = Unknown()
        if isinstance(value, Parameters | Items):
            value = {} if isinstance(value, Parameters) else []
        for part in value.parts if isinstance(value, Mixed) else (value,):
            if isinstance(part, Unknown):
                if part.sample is not NO_SAMPLE and not part.parameters:
                    values.text_of(part.sample)
                text = stand_in(part)
                self._count(text)
                written.append(Written(text, start, end, template=True, value=part))
            else:
                texts: list[str] = []
                self.append(values.text_of(part), texts)
                written.append(Written("".join(texts), start, end, template=True))

    # The base class finds what it does in these tables; the overridden methods must be in them.
    _EXPRESSIONS: ClassVar[Mapping[type, Callable[..., Any]]] = {
        **Evaluation._EXPRESSIONS,
        nodes.List: _list,
        nodes.Tuple: _list,
        nodes.And: _and,
        nodes.Or: _or,
        nodes.Not: _not,
        nodes.Add: _binary,
        nodes.Test: _test,
        nodes.Call: _call,
    }


def _text_or_unknown(value: Any) -> str | Unknown:
    value = Unknown() if isinstance(value, Missing) else one_value(value)
    return value if isinstance(value, Unknown) else values.text_of(value)


def _key(node: nodes.Node) -> tuple[str, bool]:
    """Return a condition's own text, and whether it is that text's opposite."""
    positive = True
    while isinstance(node, nodes.Not):
        node, positive = node.node, not positive
    if isinstance(node, nodes.Compare) and len(node.ops) == 1 and node.ops[0].op in {"ne", "notin"}:
        same = "eq" if node.ops[0].op == "ne" else "in"
        return f"{node.expr!r} {same} {node.ops[0].expr!r}", not positive
    if isinstance(node, nodes.Compare) and len(node.ops) == 1:
        return f"{node.expr!r} {node.ops[0].op} {node.ops[0].expr!r}", positive
    return repr(node), positive
