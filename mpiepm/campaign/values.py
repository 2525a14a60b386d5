"""Values in a campaign file: as they stand, chosen by a table, or computed from L, T and the other axes.

    origin_duration = 1e5                                               # as it stands
    origin_duration = { by = "T", "0.015" = 1e5, "< 0.015" = 4.6e5 }    # the first entry that fits
    name            = { by = "L", "<= 256" = "event", else = "split" }
    origins         = "= max(4, 40 * (64 / L) ** 2)"                    # an expression

An entry of a table may be any of the three again, or "omit": then the key is as if it had not been written.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from mpiepm.core.faults import ParameterError
from mpiepm.core.sections import LARGEST
from mpiepm.core.wording import shown

OMIT = "omit"
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "min": min, "max": max, "exp": math.exp, "log": math.log, "log2": math.log2, "log10": math.log10,
    "sqrt": math.sqrt, "ceil": math.ceil, "floor": math.floor, "round": round,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: math.pow,
}  # fmt: skip
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


def is_table(value: object) -> bool:
    """Is this a choice by table, and not a section of parameters?"""
    return isinstance(value, Mapping) and "by" in value


def is_open(value: object) -> bool:
    """Must this be resolved before it is a value?"""
    return is_table(value) or (isinstance(value, str) and value.startswith("="))


def resolve(key: str, value: Any, axes: Mapping[str, Any]) -> Any:
    """The value of `key` at the point with these `axes`; OMIT if the key is to be left out.

    Raises
    ------
    ParameterError : if no entry of a table fits, or an expression cannot be computed
    """
    if is_table(value):
        return resolve(key, _choose(key, value, axes), axes)
    if isinstance(value, str) and value.startswith("="):
        return compute(key, value[1:], axes)
    return value


def _choose(key: str, table: Mapping[str, Any], axes: Mapping[str, Any]) -> Any:
    by = table["by"]
    if not isinstance(by, str) or by not in axes:
        raise ParameterError(f"{key}: by = {by!r} must be one of {', '.join(axes)}")
    if not isinstance(axes[by], int | float | str):
        raise ParameterError(f"{key}: by = {by!r}, which is {shown(axes[by])}: must be a number or a word")
    for condition, choice in table.items():
        if condition not in ("by", "else") and _fits(key, condition, axes[by]):
            return choice
    if "else" not in table:
        raise ParameterError(f"{key}: has no entry for {by} = {axes[by]}, and no else")
    return table["else"]


def _fits(key: str, condition: str, value: Any) -> bool:
    if isinstance(value, str | bool):
        return condition == (value if isinstance(value, str) else str(value).lower())
    sign = next((sign for sign in _COMPARISONS if condition.startswith(sign)), "")
    try:
        number = float(condition.removeprefix(sign))
    except ValueError:
        raise ParameterError(f"{key}: {condition!r} must be a number, or one after <, <=, > or >=") from None
    if sign:
        return _COMPARISONS[sign](value, number)
    return math.isclose(value, number, rel_tol=1e-9) if abs(value) < LARGEST else value == number


def compute(key: str, text: str, axes: Mapping[str, Any]) -> float | int:
    """A number from an expression in the axes; whole numbers are integers.

    Raises
    ------
    ParameterError : if it is no expression of numbers, axes, + - * / // % **, comparisons, `a if b else c` and a few functions
    """
    try:
        result = float(_evaluate(ast.parse(text.strip(), mode="eval").body, axes))
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ParameterError(f"{key}: '={text}' cannot be computed: {error}") from None
    if not math.isfinite(result):
        raise ParameterError(f"{key}: '={text}' is {result}")
    return int(result) if result.is_integer() else result


def _evaluate(node: ast.expr, axes: Mapping[str, Any]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in axes and isinstance(axes[name], int | float):
            return float(axes[name])
        case ast.Name(id=name):
            raise ValueError(f"{name} must be one of {', '.join(k for k, v in axes.items() if isinstance(v, int | float))}")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_evaluate(left, axes), _evaluate(right, axes))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, axes)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _evaluate(body if _evaluate(test, axes) else orelse, axes)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            compare = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}.get(type(op), "")
            if compare:
                return float(_COMPARISONS[compare](_evaluate(left, axes), _evaluate(right, axes)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](*(_evaluate(arg, axes) for arg in args))
    raise ValueError(f"{ast.unparse(node)} is not arithmetic")
