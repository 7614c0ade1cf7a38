"""gpt-oss in miniature: the mathematics of GptOssForCausalLM, with embedding and head factored into codes and learned rows."""

import functools, math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    d: int = 256
    layers: int = 4
    heads: int = 4
    kv: int = 4
    hd: int = 64
    experts: int = 8
    topk: int = 2
    ff: int = 128
    window: int = 128
    code: int = 128


ROPE = dict(
    rope_type="yarn",
    rope_theta=150000.0,
    factor=32.0,
    beta_fast=32.0,
    beta_slow=1.0,
    truncate=False,
    original_max_position_embeddings=4096,
)


def yarn(hd):
    """Inverse frequencies [hd/2] and the factor on cosine and sine."""
    base, factor, original = ROPE["rope_theta"], ROPE["factor"], ROPE["original_max_position_embeddings"]
    at = lambda rotations: hd * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))
    low, high = max(at(ROPE["beta_fast"]), 0), min(at(ROPE["beta_slow"]), hd - 1)
    frequency = base ** -(torch.arange(0, hd, 2).float() / hd)
    ramp = ((torch.arange(hd // 2).float() - low) / (high - low)).clamp(0, 1)
    return frequency / factor * ramp + frequency * (1 - ramp), 0.1 * math.log(factor) + 1


E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
EDGES = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])


@functools.cache
def e2m1(device):
    """The eight values and the edges between them, there."""
    return E2M1.to(device), EDGES.to(device)


def mxfp4(weights):
    """[.., in] -> (codes 0..15, exponent of each 32-block, dequantised): the better of two scales a block."""
    values, edges = e2m1(weights.device)
    blocks = weights.reshape(*weights.shape[:-1], -1, 32)
    first = torch.floor(torch.log2(blocks.abs().amax(-1, keepdim=True).clamp_min(1e-20))) - 2
    best = None
    for step in (0, 1):
        scale = torch.exp2(first + step)
        index = torch.bucketize((blocks / scale).abs(), edges)
        value = values[index] * blocks.sign() * scale
        found = (index, first + step, value, ((value - blocks) ** 2).sum(-1, keepdim=True))
        best = (
            found if best is None else tuple(torch.where(found[3] < best[3], new, old) for new, old in zip(found, best))
        )
    index, exponent, value, _ = best
    return index + 8 * (blocks < 0), exponent.squeeze(-1), value.reshape(weights.shape)


def quantised(weights):
    """MXFP4's values forward, the gradient straight through."""
    with torch.no_grad():
        value = mxfp4(weights)[2]
    return weights + (value - weights).detach()


def rms(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * gain


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        normal = lambda *shape, sd=None: nn.Parameter(torch.randn(*shape) * (sd or shape[-1] ** -0.5))
        zeros = lambda *shape: nn.Parameter(torch.zeros(*shape))
        small = 0.5 / c.layers**0.5
        self.n1, self.n2 = nn.Parameter(torch.ones(c.d)), nn.Parameter(torch.ones(c.d))
        self.q, self.k, self.v = normal(c.heads * c.hd, c.d), normal(c.kv * c.hd, c.d), normal(c.kv * c.hd, c.d)
        self.o = normal(c.d, c.heads * c.hd, sd=small * c.d**-0.5)
        self.qb, self.kb, self.vb, self.ob, self.sink = (
            zeros(c.heads * c.hd),
            zeros(c.kv * c.hd),
            zeros(c.kv * c.hd),
            zeros(c.d),
            zeros(c.heads),
        )
        self.router, self.rb = normal(c.experts, c.d), zeros(c.experts)
        self.gate, self.up = normal(c.experts, c.ff, c.d), normal(c.experts, c.ff, c.d, sd=0.5 * c.d**-0.5)
        self.down = normal(c.experts, c.d, c.ff, sd=small * c.ff**-0.5)
        self.gb, self.ub, self.db = zeros(c.experts, c.ff), zeros(c.experts, c.ff), zeros(c.experts, c.d)


class Stapes(nn.Module):
    """`codes` int8 [vocabulary, code]; `learned` the ids that have rows of their own."""

    def __init__(self, c, codes, learned):
        super().__init__()
        self.c, self.quant = c, False
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("learned", learned)
        slot = torch.full((codes.shape[0],), -1, dtype=torch.long)
        slot[learned] = torch.arange(len(learned))
        self.register_buffer("slot", slot, persistent=False)
        self.m_in = nn.Parameter(torch.randn(c.code, c.d) * c.code**-0.5)
        self.m_out = nn.Parameter(self.m_in.detach() * 0.05)
        self.e_in, self.e_out = nn.Parameter(torch.zeros(len(learned), c.d)), nn.Parameter(
            torch.zeros(len(learned), c.d)
        )
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.nf = nn.Parameter(torch.ones(c.d))
        frequencies, self.rope_scale = yarn(c.hd)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def rows(self, ids, matrix, own):
        slot = self.slot[ids]
        return self.codes[ids].float() @ matrix + F.embedding(slot.clamp_min(0), own) * (slot >= 0).unsqueeze(-1)

    def experts(self, layer, x):
        """x [n, d] -> its mixture [n, d] and the load-balancing loss."""
        c = self.c
        logits = F.linear(x, layer.router, layer.rb)
        top, chosen = logits.topk(c.topk, -1)
        weight = top.softmax(-1)
        gate, up, down = (quantised(w) if self.quant else w for w in (layer.gate, layer.up, layer.down))
        share = torch.zeros_like(logits).scatter(1, chosen, weight)  # [n, experts], mostly 0
        used = (share > 0).float().mean(0) / c.topk
        balance = c.experts * (logits.softmax(-1).mean(0) * used).sum()
        if x.is_cuda:
            # All experts for all tokens: four times the arithmetic, three products, and nothing to wait for.
            g = F.linear(x, gate.flatten(0, 1), layer.gb.flatten()).clamp(max=7.0)
            u = F.linear(x, up.flatten(0, 1), layer.ub.flatten()).clamp(-7.0, 7.0)
            inner = ((u + 1) * g * torch.sigmoid(1.702 * g)).view(-1, c.experts, c.ff) * share.unsqueeze(-1)
            return F.linear(inner.flatten(1), down.transpose(1, 2).flatten(0, 1).T) + share @ layer.db, balance
        flat = chosen.flatten()
        order = flat.argsort()
        counts = torch.bincount(flat, minlength=c.experts).tolist()
        token = order // c.topk
        outputs = []
        for e, rows in enumerate(x[token].split(counts)):
            g = F.linear(rows, gate[e], layer.gb[e]).clamp(max=7.0)
            u = F.linear(rows, up[e], layer.ub[e]).clamp(-7.0, 7.0)
            outputs.append(F.linear((u + 1) * g * torch.sigmoid(1.702 * g), down[e], layer.db[e]))
        mixed = torch.zeros_like(x).index_add(0, token, torch.cat(outputs) * weight.flatten()[order][:, None])
        return mixed, balance

    def hidden(self, batch):
        """A batch of corpus.py -> the last hidden state of the branches' tokens [n - n_prefix, d], and the load-balancing loss.

        Every branch is read after its prefix and not after another branch. The prefix is computed once: that is exact, because
        no token of it sees a branch."""
        c, n_prefix = self.c, batch.n_prefix
        h = F.embedding(batch.inverse, self.rows(batch.unique, self.m_in, self.e_in))
        angle = torch.outer(batch.positions.float(), self.frequencies)[:, None]  # [n, 1, hd / 2]
        cos, sin = angle.cos() * self.rope_scale, angle.sin() * self.rope_scale
        n, (n_bundles, P) = len(h), batch.prefix_real.shape
        masks = [self.masks(batch, window) for window in (c.window, None)]
        balance = 0.0
        for layer_idx, layer in enumerate(self.layers):
            x = rms(h, layer.n1)
            heads = lambda weight, bias: F.linear(x, weight, bias).view(n, -1, c.hd)
            q = rope(heads(layer.q, layer.qb), cos, sin) * c.hd**-0.5  # [n, heads, hd]
            k, v = rope(heads(layer.k, layer.kb), cos, sin), heads(layer.v, layer.vb)  # [n, kv, hd]
            if c.kv < c.heads:
                k, v = (t.repeat_interleave(c.heads // c.kv, 1) for t in (k, v))
            q, k, v = with_sink(q, k, v)  # [n, heads, hd + 8]
            of_prefix, of_branches = masks[layer_idx % 2]
            first = [t[:n_prefix] for t in (q, k, v)]
            qp, kp, vp = (in_rows(t, batch.prefix_flat, n_bundles, P) for t in first)  # [bundles, heads, P, hd + 8]
            # A sliding layer sees only the end of the prefix.
            low = max(0, P - c.window + 1) if layer_idx % 2 == 0 else 0
            out = []
            if layer_idx == c.layers - 1:
                h = h[n_prefix:]
            else:
                own = attention(qp, kp, vp, layer.sink, of_prefix)
                out.append(in_line(own, batch.prefix_flat))
            at = n_prefix
            for (n_own, (B, L), flat, owner), mask in zip(batch.groups, of_branches):
                qo, ko, vo = (in_rows(t[at : at + n_own], flat, B, L) for t in (q, k, v))
                kb, vb = (t[:, :, low:].index_select(0, owner) for t in (kp, vp))
                seen = attention(qo, torch.cat([kb, ko], 2), torch.cat([vb, vo], 2), layer.sink, mask)
                out.append(in_line(seen, flat))
                at += n_own
            h = h + F.linear(torch.cat(out)[..., : c.hd].flatten(1).float(), layer.o, layer.ob)
            mixed, loss = self.experts(layer, rms(h, layer.n2))
            h, balance = h + mixed, balance + loss
        return rms(h, self.nf), balance

    def masks(self, batch, window):
        """What the prefixes' tokens see of their prefix [bundles, 1, P, P], and for each group what its branches' tokens see of
        the prefix and of themselves [B, 1, L, .. + L]: 0 or minus infinity, a column for the sink in front."""
        P, device = batch.prefix_real.shape[1], batch.prefix_real.device
        longest = max(L for _, (_, L), _, _ in batch.groups)
        i = torch.arange(P + longest, device=device)
        sees = i[None] <= i[:, None]
        if window:
            sees &= i[None] > i[:, None] - window
        # A prefix stands at the right of its row, so places are as far apart as positions are.
        real = batch.prefix_real[:, None, None]
        low = max(0, P - window + 1) if window else 0
        of_branches = []
        for _, (_, L), _, owner in batch.groups:
            before = sees[P : P + L, low:P] & real[owner][..., low:]
            own = sees[P : P + L, P : P + L].expand(len(owner), 1, L, L)
            of_branches.append(additive(torch.cat([before, own], -1)))
        return additive(sees[:P, :P] & real), of_branches


def kind_of(device):
    """What attention is computed in."""
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def additive(seen):
    zeros = torch.zeros(seen.shape, device=seen.device, dtype=kind_of(seen.device))
    return F.pad(zeros.masked_fill_(~seen, float("-inf")), (1, 0))


def in_rows(tokens, flat, B, L):
    """[n, heads, hd] -> [B, heads, L, hd], zeros where no token is."""
    blank = tokens.new_zeros(B * L, *tokens.shape[1:])
    return blank.index_copy(0, flat, tokens).view(B, L, *tokens.shape[1:]).transpose(1, 2)


def in_line(rows, flat):
    """The inverse."""
    return rows.transpose(1, 2).flatten(0, 1).index_select(0, flat)


def rope(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def with_sink(q, k, v):
    """[n, heads, hd] -> [n, heads, hd + 8] of each, for a sink that is a key in front of the others: the queries' entry 1 meets its
    logit, and its value is nothing. Eight more, because fast kernels want it so."""
    kind, one = kind_of(q.device), torch.ones_like(q[..., :1])
    q = F.pad(torch.cat([q, one], -1).to(kind), (0, 7))
    return q, F.pad(k.to(kind), (0, 8)), F.pad(v.to(kind), (0, 8))


def attention(q, k, v, sink, mask):
    """q [B, heads, L, hd + 8], k and v [B, heads, S, hd + 8], sink [heads] logits, mask [B, 1, L, 1 + S] -> as q."""
    B, H, _, width = q.shape
    key = F.pad(sink.to(k.dtype).view(1, H, 1, 1), (width - 8, 7)).expand(B, H, 1, width)
    return F.scaled_dot_product_attention(q, torch.cat([key, k], 2), F.pad(v, (0, 0, 1, 0)), attn_mask=mask, scale=1.0)


@torch.no_grad()
def structured_start(model, amplitude=5.0, gain=2.0, copy=3.0):
    """Sets by hand what training takes longest to find, all of it trainable: heads of layer 0 look one, two, three and five
    tokens back, and heads of layer 1 look at what followed the last one, two or three tokens earlier, and repeat it. Five back
    from a declared function's first parameter stands its name.

    Every head needs keys of its own: kv = heads."""
    c = model.c
    half = c.hd // 2
    first, second = model.layers[0], model.layers[1]
    # The embedding fills as many dimensions as a code has; what layer 0 writes goes into the others.
    basis = torch.linalg.qr(torch.cat([model.m_in.T, torch.randn(c.d, c.d - c.code)], 1))[0].T  # [d, d]
    turn = torch.linalg.qr(torch.randn(c.code, c.code))[0]
    words, free = turn @ basis[: c.code], basis[c.code :]  # rows that read an embedding; rows to write to
    looks = ((1, 40), (2, 32), (3, 32), (5, 24))  # how far back, and dimensions that remember the token there
    fast = torch.zeros(c.hd)
    fast[: half // 2] = amplitude
    written, at = [], 0
    for head, (back, width) in enumerate(looks):
        rows = slice(head * c.hd, (head + 1) * c.hd)
        angle = -float(back) * model.frequencies
        x, y = fast.chunk(2)
        # Attention by position alone, through biases in the frequencies that tell neighbours apart.
        first.q[rows] *= 0.1
        first.qb[rows] = torch.cat([x * angle.cos() - y * angle.sin(), y * angle.cos() + x * angle.sin()])
        first.k[rows] *= 0.1
        first.kb[rows] = fast
        first.v[rows] = words[: c.hd]
        target = free[at : at + width]
        first.o[:, rows] = 0
        first.o[:, rows.start : rows.start + width] = target.T
        written.append(target)
        at += width
    # In the frequencies that hardly turn, a head of layer 1 compares what stands before a key with what stands at the query.
    slow = torch.cat([torch.arange(half // 2, half), torch.arange(half + half // 2, c.hd)])
    for head, shares in enumerate([(32,), (16, 16), (12, 10, 10)]):
        rows = slice(head * c.hd, (head + 1) * c.hd)
        query, key, at = torch.zeros(c.hd, c.d), torch.zeros(c.hd, c.d), 0
        for back, width in enumerate(shares):
            dims = slow[at : at + width]
            query[dims] = gain * (words[:width] if back == 0 else written[back - 1][:width])
            key[dims] = gain * written[back][:width]
            at += width
        second.q[rows], second.k[rows] = query, key
        part = words[(head % 2) * c.hd : (head % 2 + 1) * c.hd]
        second.v[rows] = part
        second.o[:, rows] = copy * part.T
