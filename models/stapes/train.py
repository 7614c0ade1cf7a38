"""Trains stapes: `torchrun --nproc_per_node 2 train.py WORK MINUTES [START]`, one thread a process.

WORK holds train.bin, known.bin, unseen.bin (from generate.py and render.rs); checkpoints go to WORK/stapes.pt every ten
minutes, and training goes on from there when it exists. START is a checkpoint whose weights, and nothing else of it, are begun
with. Learning rate, curriculum and quantisation follow the share of MINUTES that is used up, so the run ends on time on any
machine.
"""

import collections, math, os, struct, sys, time
from dataclasses import asdict

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

from model import Config, Stapes, structured_start
from tokens import N_TEXT, VOCAB, code_table, twins

NEGATIVES, RESERVED_NEGATIVES = 1024, 24
QUANTISED_FROM = 0.8
LEARNT = 1 << 31


class Corpus:
    """Bundles as (prefix ids, [(ids, learnt)])."""

    def __init__(self, path):
        self.data = np.fromfile(path, dtype="<u4")
        self.starts, at = [], 0
        while at < len(self.data):
            self.starts.append(at)
            at += 1 + int(self.data[at])
            n = int(self.data[at])
            at += 1
            for _ in range(n):
                at += 1 + int(self.data[at])

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, index):
        at = self.starts[index % len(self)]
        n = int(self.data[at])
        prefix = torch.from_numpy(self.data[at + 1 : at + 1 + n].astype(np.int64))
        at += 1 + n
        branches = []
        for _ in range(int(self.data[at])):
            n = int(self.data[at + 1])
            ids = self.data[at + 2 : at + 2 + n]
            branches.append((torch.from_numpy((ids & (LEARNT - 1)).astype(np.int64)), torch.from_numpy(ids >= LEARNT)))
            at += 1 + n
        return prefix, branches


def learned_ids(corpus):
    """Ids with rows of their own: those of the templates, not those that fill them."""
    seen = collections.Counter()
    for index in range(0, len(corpus), max(1, len(corpus) // 3000)):
        prefix, branches = corpus[index]
        seen.update(set(prefix.tolist()).union(*(ids.tolist() for ids, _ in branches)))
    return torch.tensor(sorted(idx for idx, n in seen.items() if n >= 36 or idx >= N_TEXT))


def orthogonalised(gradient):
    """Newton-Schulz, as in Muon, in bf16, which is precise enough for it."""
    x = (gradient / (gradient.norm() + 1e-7)).bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.mT if tall else x).float()


def inputs_and_targets(branches):
    """What is read, what follows each token of it, and where that is learnt."""
    inputs = [ids[:-1] for ids, _ in branches]
    targets = torch.cat([ids[1:] for ids, _ in branches])
    learnt = torch.cat([learnt[1:] for _, learnt in branches])
    return inputs, targets, learnt


TWINS = {}


def loss_of(model, prefix, branches):
    """Softmax over the learned ids, the targets, their twins and sampled ids that each stand for many."""
    inputs, targets, learnt = inputs_and_targets(branches)
    hidden, balance = model.hidden(prefix, inputs)
    hidden, targets = hidden[learnt], targets[learnt]
    rare = [idx for idx in torch.unique(targets).tolist() if model.slot[idx] < 0]
    near = {t for idx in rare for t in TWINS.setdefault(idx, twins(idx)) if model.slot[t] < 0}
    context = torch.unique(torch.cat(inputs))
    context = set(context[model.slot[context] < 0].tolist())
    exact = torch.tensor(sorted(set(rare) | near | context), dtype=torch.long)
    sampled = torch.cat([torch.randint(0, N_TEXT, (NEGATIVES,)), torch.randint(N_TEXT, VOCAB, (RESERVED_NEGATIVES,))])
    sampled = sampled[(model.slot[sampled] < 0) & ~torch.isin(sampled, exact)]
    candidates = torch.cat([model.learned, exact, sampled])
    correction = torch.zeros(len(candidates))
    correction[len(model.learned) + len(exact) :] = math.log(N_TEXT / NEGATIVES)
    where = torch.zeros(VOCAB, dtype=torch.long)
    where[candidates] = torch.arange(len(candidates))
    logits = hidden @ model.rows(candidates, model.m_out, model.e_out).T + correction
    return F.cross_entropy(logits, where[targets]), balance, len(targets)


@torch.no_grad()
def exact_share(model, corpus, n_bundles):
    """Share of branches whose learnt tokens are all the most probable ones: what a free greedy run reproduces exactly."""
    model.eval()
    head = model.rows(torch.arange(VOCAB), model.m_out, model.e_out)
    right = total = 0
    for index in range(n_bundles):
        prefix, branches = corpus[index]
        inputs, targets, learnt = inputs_and_targets(branches)
        hidden, _ = model.hidden(prefix, inputs)
        good = torch.ones(len(targets), dtype=torch.bool)
        good[learnt] = torch.cat([(part @ head.T).argmax(-1) for part in hidden[learnt].split(256)]) == targets[learnt]
        for part in good.split([len(ids) for ids in inputs]):
            right, total = right + bool(part.all()), total + 1
    model.train()
    return right / total


def main():
    work, minutes, *start = sys.argv[1:]
    minutes = float(minutes)
    torch.set_num_threads(1)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(0)
    corpus = Corpus(f"{work}/train.bin")
    tests = {name: Corpus(f"{work}/{name}.bin") for name in ("known", "unseen")}
    path = f"{work}/stapes.pt"
    saved = torch.load(path, weights_only=False) if os.path.exists(path) else None
    origin = saved or (torch.load(start[0], weights_only=False) if start else None)
    config = Config(**origin["config"]) if origin else Config()
    learned = origin["model"]["learned"] if origin else learned_ids(corpus)
    model = Stapes(config, torch.from_numpy(code_table(f"{work}/codes.npy")), learned)
    structured_start(model)
    matrices = [p for name, p in model.named_parameters() if name.split(".")[-1] in ("q", "k", "v", "o")]
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    adam = torch.optim.Adam(others, lr=1.0, betas=(0.9, 0.95), eps=1e-10, fused=True)
    momenta = [torch.zeros_like(p) for p in matrices]
    used, step, seen = 0.0, 0, 0
    if origin:
        model.load_state_dict(origin["model"])
    if saved:
        adam.load_state_dict(saved["adam"])
        momenta, used, step, seen = saved["momenta"], saved["used"], saved["step"], saved["seen"]
    everything = list(model.parameters())
    torch.manual_seed(1000 + 7 * step + rank)
    if rank == 0:
        print(
            "parameters",
            sum(p.numel() for p in everything),
            "learned ids",
            len(learned),
            "bundles",
            len(corpus),
            flush=True,
        )
    started, losses, next_report = time.time() - used, [], used + 600
    model.train()
    share = used / (minutes * 60)
    while share < 1:
        model.quant = share > QUANTISED_FROM
        rate = min(1, (step + 1) / 50) * min(1, (1 - share) / 0.6)
        prefix, branches = corpus[step * world + rank]
        loss, balance, n = loss_of(model, prefix, branches)
        (loss + 0.003 * balance).backward()
        numbers = torch.tensor([loss.item(), n, (time.time() - started) / (minutes * 60)])
        if world > 1:
            flat = torch.cat([numbers] + [p.grad.flatten() for p in everything])
            dist.all_reduce(flat)
            flat /= world
            numbers, at = flat[:3], 3
            for p in everything:
                p.grad.copy_(flat[at : at + p.numel()].view_as(p))
                at += p.numel()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = 3e-3 * rate
        adam.step()
        with torch.no_grad():
            for p, momentum in zip(matrices, momenta):
                momentum.lerp_(p.grad, 0.05)
                update = orthogonalised(p.grad.lerp(momentum, 0.95))
                p.mul_(1 - 0.02 * rate * 0.05).add_(update, alpha=-0.02 * rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)
        for p in everything:
            p.grad = None
        step, seen = step + 1, seen + int(numbers[1] * world)
        losses.append(float(numbers[0]))
        share = float(numbers[2])
        used = share * minutes * 60
        if rank == 0 and step % 50 == 0:
            print(
                f"step {step} minute {used / 60:.1f} loss {np.mean(losses[-50:]):.4f} learnt tokens {seen / 1e6:.2f}M",
                flush=True,
            )
        if used > next_report or share >= 1:
            next_report += 600
            if rank == 0:
                scores = {
                    name: f"{100 * exact_share(model, test, 6 if share < 1 else len(test)):.0f}%"
                    for name, test in tests.items()
                }
                print(f"EXACT minute {used / 60:.1f} {scores}", flush=True)
                state = {
                    "config": asdict(config),
                    "model": model.state_dict(),
                    "adam": adam.state_dict(),
                    "momenta": momenta,
                    "used": used,
                    "step": step,
                    "seen": seen,
                }
                torch.save(state, path + ".new")
                os.replace(path + ".new", path)


if __name__ == "__main__":
    main()
