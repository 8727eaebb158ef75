"""The Triton kernels of low_rank.py, which says what they compute.

Sizes are named so: [tokens, inputs] x, [rank, inputs] D, [outputs, rank] U. Names in capitals are known when a kernel
is compiled: ROWS, COLUMNS and RANK are powers of two, and everything beyond the real sizes is masked.
"""

from adapterxfer.kernels import launch
from adapterxfer.kernels.launch import constexpr, jit

if launch.AVAILABLE:
    import triton.language as tl


@jit
def _product(a, b, PRODUCT: constexpr):
    return tl.dot(a.to(PRODUCT), b.to(PRODUCT), input_precision="ieee")


@jit
def _activate(z, ACTIVATION: constexpr):
    if ACTIVATION == "relu":
        return tl.where(z < 0, 0.0, z)  # not a maximum, which would hide what is not a number
    elif ACTIVATION == "gelu":
        return 0.5 * z * (1 + tl.erf(z * 0.7071067811865476))
    elif ACTIVATION == "swish":
        return z * tl.sigmoid(z)
    elif ACTIVATION == "tanh":
        return 2 * tl.sigmoid(2 * z) - 1
    else:
        return z


@jit
def _slope(z, ACTIVATION: constexpr):
    if ACTIVATION == "relu":
        return tl.where(z > 0, 1.0, 0.0)
    elif ACTIVATION == "gelu":
        # the normal distribution's function plus z times its density
        return 0.5 * (1 + tl.erf(z * 0.7071067811865476)) + z * tl.exp(-0.5 * z * z) * 0.3989422804014327
    elif ACTIVATION == "swish":
        share = tl.sigmoid(z)
        return share * (1 + z * (1 - share))
    elif ACTIVATION == "tanh":
        tanh = 2 * tl.sigmoid(2 * z) - 1
        return 1 - tanh * tanh
    else:
        return z * 0 + 1


@jit
def _tile(tiles, tokens, GROUPED: constexpr, ROWS: "tl.constexpr"):
    """Return a program's module, its rows, and which of them exist."""
    if GROUPED:
        tile = tiles + 3 * tl.program_id(0)
        module = tl.load(tile).to(tl.int64)
        rows = tl.load(tile + 1).to(tl.int64) + tl.arange(0, ROWS)
        inside = rows < tl.load(tile + 2)
    else:
        module = tl.program_id(0).to(tl.int64) * 0
        rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
        inside = rows < tokens
    return module, rows, inside


@jit
def _down(
    x,
    down,
    rows,
    inside,
    inputs,
    rank,
    x_stride,
    PRODUCT: constexpr,
    ROWS: constexpr,
    COLUMNS: constexpr,
    RANK: constexpr,
):
    """Return x D' of a block of rows, [ROWS, RANK]."""
    ranks = tl.arange(0, RANK)
    total = tl.zeros((ROWS, RANK), tl.float32)
    for first in range(0, inputs, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < inputs
        part = tl.load(x + rows[:, None] * x_stride + columns[None, :], mask=inside[:, None] & held[None, :], other=0.0)
        weight = tl.load(
            down + ranks[None, :] * inputs + columns[:, None],
            mask=(ranks < rank)[None, :] & held[:, None],
            other=0.0,
        )
        total += _product(part, weight, PRODUCT)
    return total


@jit
def forward(
    x,
    down,
    down_bias,
    up,
    up_bias,
    beside,
    out,
    tiles,
    tokens,
    inputs,
    outputs,
    rank,
    scale,
    x_stride,
    beside_stride,
    out_stride,
    ACTIVATION: constexpr,
    DOWN_BIAS: constexpr,
    UP_BIAS: constexpr,
    BESIDE: constexpr,
    GROUPED: constexpr,
    PRODUCT: constexpr,
    ROWS: constexpr,
    COLUMNS: constexpr,
    RANK: constexpr,
):
    """Write beside + scale x (f(x D' + d) U' + u) of a block of rows."""
    module, rows, inside = _tile(tiles, tokens, GROUPED, ROWS)
    ranks = tl.arange(0, RANK)
    low = _down(x, down + module * rank * inputs, rows, inside, inputs, rank, x_stride, PRODUCT, ROWS, COLUMNS, RANK)
    if DOWN_BIAS:
        low += tl.load(down_bias + module * rank + ranks, mask=ranks < rank, other=0.0).to(tl.float32)[None, :]
    hidden = _activate(low, ACTIVATION).to(x.dtype.element_ty)
    up += module * outputs * rank
    for first in range(0, outputs, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < outputs
        weight = tl.load(
            up + columns[None, :] * rank + ranks[:, None], mask=held[None, :] & (ranks < rank)[:, None], other=0.0
        )
        result = _product(hidden, weight, PRODUCT)
        if UP_BIAS:
            result += tl.load(up_bias + module * outputs + columns, mask=held, other=0.0).to(tl.float32)[None, :]
        result *= scale
        written = inside[:, None] & held[None, :]
        if BESIDE:
            place = beside + rows[:, None] * beside_stride + columns[None, :]
            result += tl.load(place, mask=written, other=0.0).to(tl.float32)
        place = out + rows[:, None] * out_stride + columns[None, :]
        tl.store(place, result.to(out.dtype.element_ty), mask=written)


@jit
def backward(
    x,
    gradient,
    down,
    down_bias,
    up,
    of_x,
    hidden,
    of_low,
    tiles,
    tokens,
    inputs,
    outputs,
    rank,
    scale,
    x_stride,
    gradient_stride,
    ACTIVATION: constexpr,
    DOWN_BIAS: constexpr,
    OF_X: constexpr,
    OF_WEIGHTS: constexpr,
    GROUPED: constexpr,
    PRODUCT: constexpr,
    ROWS: constexpr,
    COLUMNS: constexpr,
    RANK: constexpr,
):
    """Write the gradient of x, and what those of the weights need: of each token `hidden` and `of_low`, [rank]."""
    module, rows, inside = _tile(tiles, tokens, GROUPED, ROWS)
    ranks = tl.arange(0, RANK)
    within = ranks < rank
    down += module * rank * inputs
    up += module * outputs * rank
    back = tl.zeros((ROWS, RANK), tl.float32)
    for first in range(0, outputs, COLUMNS):
        columns = first + tl.arange(0, COLUMNS)
        held = columns < outputs
        place = gradient + rows[:, None] * gradient_stride + columns[None, :]
        part = tl.load(place, mask=inside[:, None] & held[None, :], other=0.0)
        weight = tl.load(up + columns[:, None] * rank + ranks[None, :], mask=held[:, None] & within[None, :], other=0.0)
        back += _product(part, weight, PRODUCT)
    back *= scale
    if OF_WEIGHTS or ACTIVATION != "none":
        low = _down(x, down, rows, inside, inputs, rank, x_stride, PRODUCT, ROWS, COLUMNS, RANK)
        if DOWN_BIAS:
            low += tl.load(down_bias + module * rank + ranks, mask=within, other=0.0).to(tl.float32)[None, :]
        back *= _slope(low, ACTIVATION)
        if OF_WEIGHTS:
            kept = inside[:, None] & within[None, :]
            own = rows[:, None] * rank + ranks[None, :]
            tl.store(hidden + own, _activate(low, ACTIVATION).to(hidden.dtype.element_ty), mask=kept)
            tl.store(of_low + own, back.to(of_low.dtype.element_ty), mask=kept)
    if OF_X:
        back = back.to(x.dtype.element_ty)
        for first in range(0, inputs, COLUMNS):
            columns = first + tl.arange(0, COLUMNS)
            held = columns < inputs
            weight = tl.load(
                down + ranks[:, None] * inputs + columns[None, :], mask=within[:, None] & held[None, :], other=0.0
            )
            result = _product(back, weight, PRODUCT)
            place = of_x + rows[:, None] * inputs + columns[None, :]
            tl.store(place, result.to(of_x.dtype.element_ty), mask=inside[:, None] & held[None, :])


@jit
def over_tokens(
    left,
    right,
    out,
    left_sums,
    starts,
    tokens,
    size,
    rank,
    parts,
    scale,
    left_stride,
    LEFT_SUMS: constexpr,
    GROUPED: constexpr,
    PRODUCT: constexpr,
    ROWS: constexpr,
    COLUMNS: constexpr,
    RANK: constexpr,
):
    """Write scale x left' right of a module's part of the tokens, [modules x parts, size, rank], and left's sums."""
    module = tl.program_id(0) // parts
    if GROUPED:
        first = tl.load(starts + module)
        last = tl.load(starts + module + 1)
    else:
        first = module * 0
        last = tokens
    share = tl.cdiv(tl.cdiv(last - first, parts), ROWS) * ROWS
    first += (tl.program_id(0) % parts) * share
    last = tl.minimum(last, first + share)
    ranks = tl.arange(0, RANK)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    held = columns < size
    total = tl.zeros((COLUMNS, RANK), tl.float32)
    sums = tl.zeros((COLUMNS,), tl.float32)
    for start in range(first, last, ROWS):
        rows = (start + tl.arange(0, ROWS)).to(tl.int64)
        inside = rows < last
        one = tl.load(
            left + rows[None, :] * left_stride + columns[:, None], mask=inside[None, :] & held[:, None], other=0.0
        )
        other = tl.load(
            right + rows[:, None] * rank + ranks[None, :], mask=inside[:, None] & (ranks < rank)[None, :], other=0.0
        )
        total += _product(one, other, PRODUCT)
        if LEFT_SUMS:
            sums += tl.sum(one.to(tl.float32), 1)
    place = out + (tl.program_id(0).to(tl.int64) * size + columns[:, None]) * rank + ranks[None, :]
    tl.store(place, total * scale, mask=held[:, None] & (ranks < rank)[None, :])
    if LEFT_SUMS:
        tl.store(left_sums + tl.program_id(0) * size + columns, sums * scale, mask=held)
