"""The inverse of export.py: `unpack.py OUT.pt` makes a checkpoint of the weights that lie here, for `launch WORK MINUTES OUT.pt`
to begin with. What export rounded (bf16, and MXFP4 for the experts) stays rounded."""

import os, sys

import torch
import zstandard
from safetensors.torch import load

from model import E2M1, Config, Stapes
from tokens import code_table

MOST_BYTES = 64 << 20


def unpacked(blocks, scales):
    """blocks [.., rows, in/32, 16] and scales [.., rows, in/32] -> [.., rows, in]."""
    values = torch.stack([blocks & 15, blocks >> 4], -1).flatten(-2).long()
    signed = E2M1[values & 7] * torch.where(values >= 8, -1.0, 1.0)
    return (signed * torch.exp2(scales.float() - 127)[..., None]).flatten(-2)


@torch.no_grad()
def main():
    (out,) = sys.argv[1:]
    here = os.path.dirname(os.path.abspath(__file__))
    packed = open(f"{here}/stapes.safetensors.zst", "rb").read()
    tensors = load(zstandard.ZstdDecompressor().decompress(packed, max_output_size=MOST_BYTES))
    config = Config()
    model = Stapes(config, torch.from_numpy(code_table(f"{out}.codes.npy")), tensors["stapes.learned_ids"].long())
    for own, name in (
        (model.m_in, "stapes.code_to_embedding"),
        (model.m_out, "stapes.code_to_head"),
        (model.e_in, "stapes.learned_embedding"),
        (model.e_out, "stapes.learned_head"),
        (model.nf, "model.norm.weight"),
    ):
        own.copy_(tensors[name])
    for n, layer in enumerate(model.layers):
        at = f"model.layers.{n}."
        layer.n1.copy_(tensors[at + "input_layernorm.weight"])
        layer.n2.copy_(tensors[at + "post_attention_layernorm.weight"])
        layer.sink.copy_(tensors[at + "self_attn.sinks"])
        layer.router.copy_(tensors[at + "mlp.router.weight"])
        layer.rb.copy_(tensors[at + "mlp.router.bias"])
        for name in "qkvo":
            getattr(layer, name).copy_(tensors[at + f"self_attn.{name}_proj.weight"])
            getattr(layer, name + "b").copy_(tensors[at + f"self_attn.{name}_proj.bias"])
        experts = at + "mlp.experts."
        both = unpacked(tensors[experts + "gate_up_proj_blocks"], tensors[experts + "gate_up_proj_scales"])
        bias = tensors[experts + "gate_up_proj_bias"]
        for gate_or_up, own, own_bias in ((0, layer.gate, layer.gb), (1, layer.up, layer.ub)):
            own.copy_(both[:, gate_or_up::2])
            own_bias.copy_(bias[:, gate_or_up::2])
        layer.down.copy_(unpacked(tensors[experts + "down_proj_blocks"], tensors[experts + "down_proj_scales"]))
        layer.db.copy_(tensors[experts + "down_proj_bias"])
    torch.save({"config": vars(config), "model": model.state_dict()}, out)


main()
