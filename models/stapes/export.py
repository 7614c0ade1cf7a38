"""Exports a checkpoint: `export.py WORK OUT [FULL]` writes OUT/stapes.safetensors.zst and OUT/config.json, and with FULL the
official layout with whole embedding and head matrices, for transformers and for `ossicle -m FULL`."""

import json, os, sys

import torch
import zstandard
from safetensors.torch import save, save_file

from model import ROPE, Config, Stapes, mxfp4
from tokens import VOCAB, code_table


def load(work):
    saved = torch.load(f"{work}/stapes.pt", weights_only=False)
    model = Stapes(
        Config(**saved["config"]), torch.from_numpy(code_table(f"{work}/codes.npy")), saved["model"]["learned"]
    )
    model.load_state_dict(saved["model"])
    return model.eval(), saved


def packed(weights):
    """[.., rows, in] -> blocks [.., rows, in/32, 16] of two values a byte, low nibble first, and scales [.., rows, in/32]."""
    values, exponents, _ = mxfp4(weights)
    values = values.to(torch.uint8).reshape(*weights.shape[:-1], -1, 32)
    return (values[..., 0::2] | values[..., 1::2] << 4).contiguous(), (exponents + 127).clamp(0, 254).to(torch.uint8)


def interleaved(gate, up):
    return torch.stack([gate, up], 2).flatten(1, 2)


@torch.no_grad()
def body(model):
    """Everything but embedding and head, under the official names."""
    tensors = {"model.norm.weight": model.nf}
    for n, layer in enumerate(model.layers):
        at = f"model.layers.{n}."
        tensors |= {
            at + "input_layernorm.weight": layer.n1,
            at + "post_attention_layernorm.weight": layer.n2,
            at + "self_attn.sinks": layer.sink,
            at + "mlp.router.weight": layer.router,
            at + "mlp.router.bias": layer.rb,
        }
        for name in "qkvo":
            tensors[at + f"self_attn.{name}_proj.weight"] = getattr(layer, name)
            tensors[at + f"self_attn.{name}_proj.bias"] = getattr(layer, name + "b")
        experts = at + "mlp.experts."
        for name, weight, bias in (
            ("gate_up", interleaved(layer.gate, layer.up), interleaved(layer.gb, layer.ub)),
            ("down", layer.down, layer.db),
        ):
            tensors[experts + f"{name}_proj_blocks"], tensors[experts + f"{name}_proj_scales"] = packed(weight)
            tensors[experts + f"{name}_proj_bias"] = bias
    return {name: (t if t.dtype == torch.uint8 else t.detach().bfloat16()).contiguous() for name, t in tensors.items()}


def config(c):
    return dict(
        architectures=["GptOssForCausalLM"],
        model_type="gpt_oss",
        attention_bias=True,
        attention_dropout=0.0,
        eos_token_id=[200002, 199999, 200012],
        pad_token_id=199999,
        experts_per_token=c.topk,
        num_experts_per_tok=c.topk,
        num_local_experts=c.experts,
        head_dim=c.hd,
        hidden_act="silu",
        hidden_size=c.d,
        initial_context_length=4096,
        initializer_range=0.02,
        intermediate_size=c.ff,
        layer_types=["sliding_attention", "full_attention"] * (c.layers // 2),
        max_position_embeddings=131072,
        num_attention_heads=c.heads,
        num_key_value_heads=c.kv,
        num_hidden_layers=c.layers,
        output_router_logits=False,
        rms_norm_eps=1e-5,
        rope_scaling={name: value for name, value in ROPE.items() if name != "rope_theta"},
        rope_theta=ROPE["rope_theta"],
        router_aux_loss_coef=0.9,
        sliding_window=c.window,
        swiglu_limit=7.0,
        tie_word_embeddings=False,
        use_cache=True,
        vocab_size=VOCAB,
        torch_dtype="bfloat16",
        quantization_config=dict(
            quant_method="mxfp4",
            modules_to_not_convert=[
                "model.layers.*.self_attn",
                "model.layers.*.mlp.router",
                "model.embed_tokens",
                "lm_head",
            ],
        ),
    )


@torch.no_grad()
def main():
    work, out, *full = sys.argv[1:]
    model, saved = load(work)
    tensors = body(model)
    halved = {
        "m_in": model.m_in.bfloat16(),
        "m_out": model.m_out.bfloat16(),
        "e_in": model.e_in.bfloat16(),
        "e_out": model.e_out.bfloat16(),
    }
    factors = {
        "stapes.code_to_embedding": halved["m_in"],
        "stapes.code_to_head": halved["m_out"],
        "stapes.learned_ids": model.learned.int(),
        "stapes.learned_embedding": halved["e_in"],
        "stapes.learned_head": halved["e_out"],
    }
    raw = save({name: t.contiguous() for name, t in (tensors | factors).items()})
    os.makedirs(out, exist_ok=True)
    with open(f"{out}/stapes.safetensors.zst", "wb") as file:
        file.write(zstandard.ZstdCompressor(level=19).compress(raw))
    text = json.dumps(config(model.c), indent=1) + "\n"
    open(f"{out}/config.json", "w").write(text)
    print(
        "steps",
        saved["step"],
        "learnt tokens",
        saved["seen"],
        "raw",
        len(raw),
        "compressed",
        os.path.getsize(f"{out}/stapes.safetensors.zst"),
    )
    if full:
        every = torch.arange(VOCAB)
        tensors["model.embed_tokens.weight"] = model.rows(
            every, halved["m_in"].float(), halved["e_in"].float()
        ).bfloat16()
        tensors["lm_head.weight"] = model.rows(every, halved["m_out"].float(), halved["e_out"].float()).bfloat16()
        os.makedirs(full[0], exist_ok=True)
        save_file(tensors, f"{full[0]}/model.safetensors", metadata={"format": "pt"})
        open(f"{full[0]}/config.json", "w").write(text)


main()
