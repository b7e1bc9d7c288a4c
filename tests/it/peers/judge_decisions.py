"""Holds a request to the types of OpenAI's own client, sends it by that client, and holds the answer to its types: URL REQUEST."""

import collections.abc
import json
import sys
import types
import typing

import openai
import typing_extensions
from openai.types.decision import Decision
from openai.types.decision_create_params import DecisionCreateParams

REQUIRED = {typing_extensions.Required, getattr(typing, "Required", None)} - {None}


def fits(value, wanted):
    """Whether a value is of a type, every field of it known. (Pydantic lets fields pass that a TypedDict does not know.)"""
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (*REQUIRED, typing.Annotated):
        return fits(value, inner[0])
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is typing.Literal:
        return value in inner
    if origin in (collections.abc.Iterable, list):
        return isinstance(value, list) and all(fits(one, inner[0]) for one in value)
    if typing_extensions.is_typeddict(wanted):
        fields = typing_extensions.get_type_hints(wanted, include_extras=True)
        # Which are required is lost to `__required_keys__` where annotations are strings.
        required = {name for name, field in fields.items() if typing.get_origin(field) in REQUIRED}
        known = isinstance(value, dict) and required <= value.keys() <= fields.keys()
        return known and all(fits(one, fields[name]) for name, one in value.items())
    return isinstance(value, wanted)


url, body = sys.argv[1:]
request = json.loads(body)
assert fits(request, DecisionCreateParams), "it is no such request"
client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
answer = client.decisions.create(**request)
# The client itself is lenient: once more, strictly.
Decision.model_validate_json(answer.model_dump_json(), strict=True)
assert not answer.model_extra and not any(one.model_extra for one in answer.answers), answer
print(answer.model_dump_json())
