"""Compiled sums over events of a mixture with per-event variations: density, logarithm and derivatives in one pass.

The events go through in groups, whose logarithms, densities and derivatives stay in the first-level cache, so that memory is read
once, and in order. Exponential and logarithm are polynomials written out, because the compiler turns those into vector instructions and
calls of the C library it does not; both are exact to one unit in the last place.

The next group is asked for while this one is worked on. Import it through `toolkit.likelihood.fused` only: importing it imports numba.
The NumPy twin of every function is in `toolkit.likelihood.shaped`.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

GROUP, GROUP_CODE4 = 64, 128
"""Events that are worked on together: 64 rows of 120 columns stay in the cache between the two passes of the log-quadratic interpolation
(a tenth less time than with 128). With code 4 the loops over the events of a column must be long (64 take up to 1.15)."""
PAD = 8
"""Columns of `GROUP` numbers would all fall on the same few sets of the cache."""
SMALL = 0.35
"""Logarithms up to this (variations up to 42 %) need no reduction of the range."""
TINY, HUGE = 2.3e-308, 1.7e308
"""Between these a density is a normal number, and `_log` is exact."""

_exact = functools.partial(njit, nogil=True, error_model="numpy", fastmath={"contract"})
_sums = functools.partial(njit, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
"""Sums may be done in any order; what is not a number stays so."""


@intrinsic
def _prefetch(context, array, index):
    """Ask for the line of the cache that holds element `index` of a contiguous array, without waiting for it."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        number = ir.IntType(32)
        call = builder.module.declare_intrinsic(
            "llvm.prefetch", [cgutils.voidptr_t], ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
        )
        builder.call(call, [pointer, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@_exact
def _exp(x):
    """Exponential: 2^n times a polynomial in the rest; below 1e-307 it is 0."""
    inside = 709.0 if x > 709.0 else x
    inside = -708.0 if inside < -708.0 else inside
    shifted = inside * 1.4426950408889634 + 6755399441055744.0  # adding 1.5 * 2^52 rounds to an integer, in the low bits
    n = shifted - 6755399441055744.0
    r = (inside - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10
    p = 2.5111031930056386e-08
    p = p * r + 2.763412238733886e-07
    p = p * r + 2.755723870218628e-06
    p = p * r + 2.4801481446745052e-05
    p = p * r + 0.00019841269891371615
    p = p * r + 0.001388888895610802
    p = p * r + 0.008333333333319613
    p = p * r + 0.0416666666664738
    p = p * r + 0.1666666666666668
    p = p * r + 0.500000000000002
    p = p * r + 1.0
    p = p * r + 1.0
    bits = np.int64(np.float64(p).view(np.int64) + (np.float64(shifted).view(np.int64) << 52))
    value = math.inf if x > 709.0 else bits.view(np.float64)
    return 0.0 if x < -708.0 else value


@_exact
def _exp_small(x):
    """Exponential of a number of at most `SMALL`: the polynomial of tenth degree through its Chebyshev points."""
    p = 2.762775463959855e-07
    p = p * x + 2.764182955521795e-06
    p = p * x + 2.4801500953771468e-05
    p = p * x + 0.0001984116627031529
    p = p * x + 0.0013888888935191439
    p = p * x + 0.008333333388852388
    p = p * x + 0.041666666666565336
    p = p * x + 0.16666666666545205
    p = p * x + 0.5000000000000007
    p = p * x + 1.0000000000000075
    return p * x + 1.0


@_exact
def _log(x):
    """Logarithm of a normal number > 0: that of the mantissa in [sqrt(1/2), sqrt(2)) as in FreeBSD's libm, plus the exponent's."""
    bits = np.float64(x).view(np.int64)
    exponent = np.int64(bits - 0x3FE6A09E667F3BCD) >> 52
    mantissa = np.int64(bits - (exponent << 52)).view(np.float64)
    n = np.int64(exponent + 0x4338000000000000).view(np.float64) - 6755399441055744.0
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    even = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860510658591e-01)))
    half = 0.5 * f * f
    return n * 6.93147180369123816490e-01 - ((half - (s * (half + (odd + even)) + n * 1.90821492927058770002e-10)) - f)


@_sums
def _fetch(ahead, r, low, high):
    """Ask for columns low to high of four rows, from r on, of the group that comes next."""
    width = ahead.shape[1]
    if r + 4 <= len(ahead):
        for row in range(r, r + 4):
            for i in range(row * width + low, row * width + high, 8):
                _prefetch(ahead, i)


@_sums
def _dots(block, low, high, weights, out, ahead):
    """Multiply columns low to high of rows (n_rows, n_columns) by weights (n_columns,), four rows at a time: they share the weights."""
    n, w = len(block), weights[low:high]
    whole = n - n % 4
    for r in range(0, whole, 4):
        a, b, c, d = block[r, low:high], block[r + 1, low:high], block[r + 2, low:high], block[r + 3, low:high]
        _fetch(ahead, r, low, high)
        one, two, three, four = 0.0, 0.0, 0.0, 0.0
        for i in range(len(w)):
            one += a[i] * w[i]
            two += b[i] * w[i]
            three += c[i] * w[i]
            four += d[i] * w[i]
        out[r], out[r + 1], out[r + 2], out[r + 3] = one, two, three, four
    for r in range(whole, n):
        a, one = block[r, low:high], 0.0
        for i in range(len(w)):
            one += a[i] * w[i]
        out[r] = one


@_sums
def _add_rows(block, low, high, weights, sums, ahead):
    """Add rows (n_rows, n_columns) times weights (n_rows,), columns low to high, to sums (n_columns,), four rows at a time."""
    n, s = len(block), sums[low:high]
    whole = n - n % 4
    for r in range(0, whole, 4):
        a, b, c, d = block[r, low:high], block[r + 1, low:high], block[r + 2, low:high], block[r + 3, low:high]
        one, two, three, four = weights[r], weights[r + 1], weights[r + 2], weights[r + 3]
        _fetch(ahead, r, low, high)
        for i in range(len(s)):
            s[i] += (one * a[i] + two * b[i]) + (three * c[i] + four * d[i])
    for r in range(whole, n):
        a, one = block[r, low:high], weights[r]
        for i in range(len(s)):
            s[i] += one * a[i]


@_sums
def _log_quadratic(block, offsets, columns, shifts, terms, ahead):
    """Fill terms (n_processes, n_rows) with g_j / N_j of the processes that vary."""
    n, weights = len(block), columns[0]
    for j in range(len(shifts)):
        if offsets[j + 1] > offsets[j]:
            out, shift = terms[j, :n], shifts[j]
            _dots(block, offsets[j], offsets[j + 1], weights, out, ahead)
            for r in range(n):
                out[r] = _exp(out[r] - shift)


@_sums
def _multiply(up, down, at, product, ratio, derivatives):
    """Multiply products (n_rows,) by the factor of one parameter, and fill ratio (n_rows,) with its relative slope.

    The factor is a constant plus, for the up and for the down logarithm x, exp(c x) (p + q x + r x^2), and so is its slope.
    Returns how many factors are not positive.
    """
    c, p, q, r, ps, qs, rs = at[0], at[1], at[2], at[3], at[4], at[5], at[6]
    d, t, u, v, ts, us, vs = at[7], at[8], at[9], at[10], at[11], at[12], at[13]
    constant, slope, refused = at[14], at[15], 0
    for i in range(len(product)):
        x, y = up[i], down[i]
        e, f = _exp(c * x), _exp(d * y)
        factor = constant + e * (p + x * (q + x * r)) + f * (t + y * (u + y * v))
        if derivatives:
            ratio[i] = (slope + e * (ps + x * (qs + x * rs)) + f * (ts + y * (us + y * vs))) / factor
        product[i] *= factor
        refused += 1 if factor <= 0.0 else 0
    return refused


@_sums
def _multiply_small(up, down, at, product, ratio, derivatives):
    """Do the same where c is 1 and the logarithms are small: most of the time goes here. Such factors are positive."""
    p, q, r, ps, qs, rs = at[1], at[2], at[3], at[4], at[5], at[6]
    t, u, v, ts, us, vs = at[8], at[9], at[10], at[11], at[12], at[13]
    constant, slope = at[14], at[15]
    for i in range(len(product)):
        x, y = up[i], down[i]
        e, f = _exp_small(x), _exp_small(y)
        factor = constant + e * (p + x * (q + x * r)) + f * (t + y * (u + y * v))
        if derivatives:
            ratio[i] = (slope + e * (ps + x * (qs + x * rs)) + f * (ts + y * (us + y * vs))) / factor
        product[i] *= factor


@_sums
def _turn(block, turned):
    """Copy rows (n_rows, n_columns) to columns (n_columns, >= n_rows), eight rows at a time: a line of the cache."""
    n, width = block.shape
    whole = n - n % 8
    for first in range(0, whole, 8):
        part = block[first : first + 8]
        for c in range(width):
            out = turned[c, first : first + 8]
            for r in range(8):
                out[r] = part[r, c]
    for r in range(whole, n):
        for c in range(width):
            turned[c, r] = block[r, c]


@_sums
def _are_small(logs):
    """Whether all logarithms (n,) are in the range of `_exp_small`."""
    large = 0
    for i in range(len(logs)):
        large += 1 if abs(logs[i]) > SMALL else 0
    return large == 0


@_sums
def _code4(block, offsets, columns, norms, turned, terms, ratios, derivatives, ahead):
    """Fill terms (n_processes, n_rows) with g_j / N_j and ratios (n_columns / 2, n_rows) with the relative derivatives of the factors.

    The logarithms are turned first, so that the loops go over events whatever the number of parameters.
    """
    n = len(block)
    small = _are_small(block.reshape(block.size))
    _turn(block, turned)
    for j in range(len(norms)):
        low, k, product, refused = offsets[j], (offsets[j + 1] - offsets[j]) // 2, terms[j, :n], 0
        product[:] = norms[j]
        for m in range(k):
            lines = ahead.size // (4 * block.shape[1])
            for i in range((low // 2 + m) * lines, (low // 2 + m + 1) * lines):
                _prefetch(ahead, i * 8)
            at, up, down = columns[low // 2 + m], turned[low + m, :n], turned[low + k + m, :n]
            ratio = ratios[low // 2 + m if derivatives else 0, :n]
            if at[0] == 1.0 and at[7] == 1.0 and (small or (_are_small(up) and _are_small(down))):
                _multiply_small(up, down, at, product, ratio, derivatives)
            else:
                refused += _multiply(up, down, at, product, ratio, derivatives)
        if refused:
            product[:] = math.nan


@_sums
def _terms(block, offsets, code4, columns, shifts, norms, densities, scratch, terms, ratios, derivatives, ahead):
    """Fill terms (n_processes, n_rows) with D_j g_j / N_j, and with code 4 ratios too."""
    if code4:
        _code4(block, offsets, columns, norms, scratch, terms, ratios, derivatives, ahead)
    else:
        _log_quadratic(block, offsets, columns, shifts, terms, ahead)
    n = len(block)
    for j in range(len(shifts)):
        if offsets[j + 1] > offsets[j]:
            for r in range(n):
                terms[j, r] *= densities[r, j]
        else:
            for r in range(n):
                terms[j, r] = densities[r, j]


@_sums
def _dot(one, other):
    """Sum the products of two arrays (n_rows,)."""
    out = 0.0
    for r in range(len(one)):
        out += one[r] * other[r]
    return out


@_sums
def _add_derivatives(block, offsets, code4, terms, ratios, sums, ahead):
    """Add the terms (n_processes, n_rows) times what the derivatives are made of to sums."""
    n = len(block)
    for j in range(len(terms)):
        if offsets[j + 1] > offsets[j]:
            if code4:
                for m in range(offsets[j] // 2, offsets[j + 1] // 2):
                    sums[m] += _dot(ratios[m, :n], terms[j, :n])
            else:
                _add_rows(block, offsets[j], offsets[j + 1], terms[j], sums, ahead)


@_sums
def _sum_log(total, weights):
    """Sum weights times logarithms of totals (n_rows,); NaN where one is not positive."""
    value, normal = 0.0, 0
    for r in range(len(total)):
        t = total[r]
        value += weights[r] * _log(t)
        normal += 1 if (t >= TINY) & (t <= HUGE) else 0
    if normal == len(total):
        return value
    value = 0.0
    for r in range(len(total)):
        value += weights[r] * (math.log(total[r]) if total[r] > 0.0 else math.nan)
    return value


def _log_sums(table, offsets, code4, columns, shifts, densities, weights, factors, out):
    """Add sum_i w_i ln t_i at several F (n_points, n_processes) to out (n_points,); NaN where a density is not positive."""
    group = GROUP_CODE4 if code4 else GROUP
    p = len(shifts)
    terms, scratch, norms = np.empty((p, group)), np.empty((table.shape[1] if code4 else 1, group + PAD)), np.exp(-shifts)
    ratios, total = np.empty((1, group)), np.empty(group)
    for first in range(0, len(table), group):
        last = min(first + group, len(table))
        n, ahead = last - first, table[last : min(last + group, len(table))]
        _terms(table[first:last], offsets, code4, columns, shifts, norms, densities[first:last], scratch, terms, ratios, False, ahead)
        for k in range(len(factors)):
            total[:n] = 0.0
            for j in range(p):
                f = factors[k, j]
                for r in range(n):
                    total[r] += f * terms[j, r]
            out[k] += _sum_log(total[:n], weights[first:last])


def _log_derivatives(table, offsets, code4, columns, shifts, densities, weights, factors, by_factor, sums):
    """Return sum_i w_i ln t_i at F (n_processes,); add its derivatives by F to by_factor and what those by alpha are made of to sums."""
    group = GROUP_CODE4 if code4 else GROUP
    p = len(shifts)
    terms, scratch, norms = np.empty((p, group)), np.empty((table.shape[1] if code4 else 1, group + PAD)), np.exp(-shifts)
    ratios, total, value = np.empty((table.shape[1] // 2 if code4 else 1, group + PAD)), np.empty(group), 0.0
    for first in range(0, len(table), group):
        last = min(first + group, len(table))
        n, block, w = last - first, table[first:last], weights[first:last]
        ahead = table[last : min(last + group, len(table))]
        early = ahead if code4 else table[:0]  # fetched once: here, or while the derivatives are added
        _terms(block, offsets, code4, columns, shifts, norms, densities[first:last], scratch, terms, ratios, True, early)
        total[:n] = 0.0
        for j in range(p):
            f = factors[j]
            for r in range(n):
                total[r] += f * terms[j, r]
        value += _sum_log(total[:n], w)
        for r in range(n):
            total[r] = w[r] / total[r]
        for j in range(p):
            f, own = factors[j], 0.0
            for r in range(n):
                share = terms[j, r] * total[r]
                own += share
                terms[j, r] = f * share
            by_factor[j] += own
        _add_derivatives(block, offsets, code4, terms, ratios, sums, ahead)
    return value


def _means(table, offsets, code4, columns, weights, mean, sums):
    """Add sum_i w_ij g_ij to mean (n_processes,), with weights (n_events, n_processes), and what its derivatives are made of to sums."""
    group = GROUP_CODE4 if code4 else GROUP
    p = len(mean)
    terms, scratch, shifts, norms = np.empty((p, group)), np.empty((table.shape[1] if code4 else 1, group + PAD)), np.zeros(p), np.ones(p)
    ratios = np.empty((table.shape[1] // 2 if code4 else 1, group + PAD))
    for first in range(0, len(table), group):
        last = min(first + group, len(table))
        block, ahead = table[first:last], table[last : min(last + group, len(table))]
        early = ahead if code4 else table[:0]
        _terms(block, offsets, code4, columns, shifts, norms, weights[first:last], scratch, terms, ratios, True, early)
        for j in range(p):
            own = 0.0
            for r in range(last - first):
                own += terms[j, r]
            mean[j] += own
        _add_derivatives(block, offsets, code4, terms, ratios, sums, ahead)


class Kernels(NamedTuple):
    """The compiled functions; see `_log_sums`, `_log_derivatives` and `_means`."""

    log_sums: Any
    log_derivatives: Any
    means: Any


@functools.lru_cache(maxsize=2)
def compiled(dtype: str) -> Kernels:
    """Compile the functions for logarithms of a type, "float64" or "float32", or read them from numba's cache.

    Raises:
        RuntimeError: There is no folder to cache them in.
    """
    table = types.Array(getattr(types, dtype), 2, "C", readonly=True)
    vector, matrix, out = (types.Array(types.float64, n, "C", readonly=r) for n, r in ((1, True), (2, True), (1, False)))
    offsets, rows, column = (
        types.Array(types.int64, 1, "C", readonly=True),
        *(types.Array(types.float64, n, "A", readonly=True) for n in (2, 1)),
    )
    common = (table, offsets, types.boolean, matrix)
    return Kernels(
        _sums([types.void(*common, vector, rows, column, matrix, out)], cache=True)(_log_sums),
        _sums([types.float64(*common, vector, rows, column, vector, out, out)], cache=True)(_log_derivatives),
        _sums([types.void(*common, rows, out, out)], cache=True)(_means),
    )
