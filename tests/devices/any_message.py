"""Hypothesis strategies for every message, made from the types of its fields, and equality to the bit."""

import dataclasses
import struct
import types
import typing
from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from devices.messages import Reply, Request
from radio.ofdm import OfdmConfig

INTEGERS = st.integers(-(2**62), 2**62)
NUMERATIONS = st.builds(
    OfdmConfig, fft_len=st.sampled_from([64, 128]), prefix_len=st.integers(0, 64), num_active=st.just(48)
)
DTYPES = {
    np.float32: ["<f4", ">f4", "<f8"],
    np.floating: ["<f4", "<f8", ">f8"],
    np.complex64: ["<c8", "<c16"],
    np.complex128: ["<c16", ">c16"],
    np.complexfloating: ["<c8", "<c16"],
    np.int32: ["<i4", ">i4"],
    np.uint8: ["|u1"],
}


def values_of(kind):
    """Any value of a type as messages state it; arrays strided or not, of either byte order, NaN among them."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is OfdmConfig:
        return NUMERATIONS
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return st.builds(
            kind, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(kind)}
        )
    if origin is np.ndarray:
        scalar = typing.get_args(arguments[1])[0]
        return st.sampled_from(DTYPES[scalar]).flatmap(arrays_of)
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return st.builds(
            kind, **{name: values_of(hint) for name, hint in typing.get_type_hints(kind).items()}
        )
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*map(values_of, arguments))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    return {
        int: INTEGERS, float: st.floats(), str: st.text(max_size=9), bool: st.booleans(), type(None): st.none()
    }[kind]  # fmt: skip


def arrays_of(dtype):
    lengths = npst.array_shapes(min_dims=1, max_dims=1, min_side=0, max_side=7)
    return st.tuples(npst.arrays(dtype, lengths), st.sampled_from([1, -1, 2])).map(
        lambda drawn: drawn[0][:: drawn[1]]
    )


KINDS = (*typing.get_args(Request), *typing.get_args(Reply))
ANY_MESSAGE = st.one_of(*map(values_of, KINDS))


def bits(value):
    """A nested tuple that is equal for values with the same types and the same bits, whatever their byte order."""
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"))
        return little.dtype.str, little.shape, little.tobytes()
    if dataclasses.is_dataclass(value):
        return type(value), *(bits(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, Mapping):
        return tuple(sorted((key, bits(item)) for key, item in value.items()))
    if isinstance(value, tuple):
        return type(value), *map(bits, value)
    return (type(value), struct.pack("<d", value)) if isinstance(value, float) else (type(value), value)
