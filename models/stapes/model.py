"""gpt-oss in miniature: the mathematics of GptOssForCausalLM, with embedding and head factored into codes and learned rows."""

import math
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


def mxfp4(weights):
    """[.., in] -> (codes 0..15, exponent of each 32-block, dequantised): the better of two scales a block."""
    blocks = weights.reshape(*weights.shape[:-1], -1, 32)
    first = torch.floor(torch.log2(blocks.abs().amax(-1, keepdim=True).clamp_min(1e-20))) - 2
    best = None
    for step in (0, 1):
        scale = torch.exp2(first + step)
        index = torch.bucketize((blocks / scale).abs(), EDGES)
        value = E2M1[index] * blocks.sign() * scale
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

    def rope(self, x, positions):
        angle = torch.outer(positions.float(), self.frequencies)
        cos, sin = angle.cos() * self.rope_scale, angle.sin() * self.rope_scale
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def experts(self, layer, x):
        """x [n, d] -> its mixture [n, d] and the load-balancing loss."""
        c = self.c
        logits = F.linear(x, layer.router, layer.rb)
        top, chosen = logits.topk(c.topk, -1)
        weight = top.softmax(-1)
        gate, up, down = (quantised(w) if self.quant else w for w in (layer.gate, layer.up, layer.down))
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
        return mixed, c.experts * (logits.softmax(-1).mean(0) * torch.tensor(counts) / flat.numel()).sum()

    def hidden(self, prefix, branches):
        """prefix [P] ids, branches a list of ids [L_i], each read after the prefix and not after one another.

        -> the last hidden state of the branches' tokens [sum L_i, d], and the load-balancing loss. The prefix is computed once:
        that is exact, because no token of it sees a branch.
        """
        c, P = self.c, len(prefix)
        ids = torch.cat([prefix, *branches])
        unique, inverse = torch.unique(ids, return_inverse=True)
        h = F.embedding(inverse, self.rows(unique, self.m_in, self.e_in))
        lengths = torch.tensor([len(branch) for branch in branches])
        positions = torch.cat([torch.arange(P), *(torch.arange(P, P + n) for n in lengths.tolist())])
        starts = lengths.cumsum(0) - lengths
        # Branches of similar length share a batch, so that little is padded: [B, L] places among the branches' tokens, and
        # which of them are real.
        groups = []
        for members in lengths.argsort().chunk(3 if len(branches) > 5 else 1):
            step = torch.arange(int(lengths[members].max()))
            places = (starts[members][:, None] + step).clamp_max(len(ids) - P - 1)
            groups.append((places, step[None] < lengths[members][:, None]))
        batched = torch.cat([places[real] for places, real in groups])
        back = torch.empty_like(batched).scatter_(0, batched, torch.arange(len(batched)))
        i = torch.arange(int(P + lengths.max()))
        causal = i[None] <= i[:, None]
        window = causal & (i[None] > i[:, None] - c.window)
        masks = [torch.zeros(m.shape).masked_fill(~m, float("-inf")) for m in (window, causal)]
        balance = 0.0
        for n, layer in enumerate(self.layers):
            mask = masks[n % 2]
            x = rms(h, layer.n1)
            heads = lambda weight, bias: F.linear(x, weight, bias).view(len(ids), -1, c.hd).transpose(0, 1)
            q = self.rope(heads(layer.q, layer.qb), positions) * c.hd**-0.5  # [heads, n, hd]
            k, v = self.rope(heads(layer.k, layer.kb), positions), heads(layer.v, layer.vb)  # [kv, n, hd]
            if c.kv < c.heads:
                k, v = (t.repeat_interleave(c.heads // c.kv, 0) for t in (k, v))
            (qp, q), (kp, k), (vp, v) = (t.split([P, len(ids) - P], 1) for t in (q, k, v))
            # A sliding layer sees only the end of the prefix.
            low = max(0, P - c.window + 1) if n % 2 == 0 else 0
            out = []
            for places, real in groups:
                B, L = places.shape
                batch = lambda t: t[:, places].transpose(0, 1)  # [B, heads, L, hd]
                after = lambda t, own: torch.cat([t[None, :, low:].expand(B, -1, -1, -1), batch(own)], 2)
                seen = attention(batch(q), after(kp, k), after(vp, v), layer.sink, mask[P : P + L, low : P + L])
                out.append(seen.transpose(1, 2).reshape(B, L, -1)[real])
            out = torch.cat(out)[back]
            if n == c.layers - 1:
                h = h[P:]
            else:
                own = attention(qp[None], kp[None], vp[None], layer.sink, mask[:P, :P])[0]
                out = torch.cat([own.transpose(0, 1).reshape(P, -1), out])
            h = h + F.linear(out, layer.o, layer.ob)
            mixed, loss = self.experts(layer, rms(h, layer.n2))
            h, balance = h + mixed, balance + loss
        return rms(h, self.nf), balance


def attention(q, k, v, sink, mask):
    """q [B, heads, L, hd], k and v [B, heads, S, hd], sink [heads] logits, mask [L, S] -> [B, heads, L, hd].

    The sink is a key in front of the others: the queries' entry 1 meets its logit, and its value is nothing."""
    B, H, L, hd = q.shape
    q = F.pad(torch.cat([q, q.new_ones(B, H, L, 1)], -1), (0, 7))
    k = torch.cat([F.pad(sink.view(1, H, 1, 1), (hd, 7)).expand(B, H, 1, hd + 8), F.pad(k, (0, 8))], 2)
    v = F.pad(v, (0, 8, 1, 0))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=F.pad(mask, (1, 0)), scale=1.0)[..., :hd]


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
