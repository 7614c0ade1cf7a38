"""Trains stapes: `train.py WORK MINUTES [START [RATE]]`, on a GPU where there is one; `launch` runs it on two cores.

WORK holds the corpus, train*.bin (from generate.py and render.rs), and test-*.bin, which is never learnt. A corpus may be pipes
(see `feed`); then sample.bin shows beforehand which ids are common. Checkpoints go to WORK/stapes.pt, and training goes on from there when it exists. START is a checkpoint whose
weights, and nothing else of it, are begun with; RATE is a share of the full learning rate. Learning rate and quantisation follow the share of MINUTES that is used up, so
the run ends on time on any machine. What one batch is stands in corpus.py. Begin at `main`.
"""

import collections, glob, itertools, math, os, sys, time
from dataclasses import asdict

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.utils.data import DataLoader

from corpus import LEARNT, Batch, Batches, read
from model import Config, Stapes, structured_start
from tokens import N_TEXT, VOCAB, code_table

QUANTISED_FROM = 0.8
# On a GPU: bundles a step, sampled ids, seconds between checkpoints; on the CPU each process has one bundle a step.
GPU, CPU = (64, 4096, 120), (1, 1024, 600)


def learned_ids(work):
    """Ids with rows of their own: those of the templates, not those that fill them."""
    path = f"{work}/sample.bin" if os.path.exists(f"{work}/sample.bin") else f"{work}/train.bin"
    seen, n_bundles = collections.Counter(), 0
    for prefix, branches in read(path):
        seen.update(set(prefix.tolist()).union(*((ids & (LEARNT - 1)).tolist() for ids in branches)))
        n_bundles += 1
    return torch.tensor(sorted(idx for idx, n in seen.items() if n >= 0.012 * n_bundles or idx >= N_TEXT))


def orthogonalised(gradients):
    """Newton-Schulz, as in Muon; bf16 is precise enough for it, but some CPUs take thirty times longer. [.., rows, columns], rows <=
    columns"""
    x = gradients / (gradients.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    x = x.bfloat16() if x.is_cuda else x
    for _ in range(5):
        a = x @ x.mT
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.float()


def loss_of(model, batch):
    """Softmax over the candidates, each sampled one counted as often as it stands for another."""
    hidden, balance = model.hidden(batch)
    logits = hidden.index_select(0, batch.learnt) @ model.rows(batch.candidates, model.m_out, model.e_out).T
    logits[:, batch.n_exact :] += math.log(N_TEXT / batch.n_negatives)
    return F.cross_entropy(logits, batch.targets), balance


@torch.no_grad()
def exact_share(model, path, n_bundles, device):
    """Share of branches whose learnt tokens are all the most probable ones: what a free greedy run reproduces exactly."""
    model.eval()
    head = model.rows(torch.arange(VOCAB, device=device), model.m_out, model.e_out)
    right = total = 0
    for bundle in itertools.islice(read(path), n_bundles):
        batch = Batch.of([bundle], model.learned.cpu().numpy(), 1, np.random.default_rng(0)).to(device)
        hidden, _ = model.hidden(batch)
        good = torch.ones(len(hidden), dtype=torch.bool, device=device)
        best = torch.cat([(part @ head.T).argmax(-1) for part in hidden[batch.learnt].split(256)])
        good[batch.learnt] = best == batch.candidates[batch.targets]
        for part in good.cpu().split(batch.lengths):
            right, total = right + bool(part.all()), total + 1
    model.train()
    return right / total


def begun(work, start, device):
    """The model, and the checkpoint that is gone on with, if any."""
    path = f"{work}/stapes.pt"
    saved = torch.load(path, map_location="cpu", weights_only=False) if os.path.exists(path) else None
    origin = saved or (torch.load(start, map_location="cpu", weights_only=False) if start else None)
    learned = learned_ids(work) if not saved else saved["model"]["learned"]
    if origin and not saved:
        # Ids that have become common since get rows of their own, which begin as nothing.
        old = origin["model"]["learned"]
        learned = torch.unique(torch.cat([old, learned]))
        for name in ("e_in", "e_out"):
            rows = torch.zeros(len(learned), origin["model"][name].shape[1])
            rows[torch.searchsorted(learned, old)] = origin["model"][name]
            origin["model"][name] = rows
        origin["model"]["learned"] = learned
    config = Config(**origin["config"]) if origin else Config()
    model = Stapes(config, torch.from_numpy(code_table(f"{work}/codes.npy")), learned)
    if origin:
        model.load_state_dict(origin["model"])
    else:
        structured_start(model)
    return model.to(device), saved


class Optimiser:
    """Muon for the matrices of attention, Adam for the rest."""

    def __init__(self, model, saved):
        self.matrices = [p for name, p in model.named_parameters() if name.split(".")[-1] in ("q", "k", "v", "o")]
        self.others = [p for p in model.parameters() if not any(p is m for m in self.matrices)]
        self.adam = torch.optim.Adam(self.others, lr=1.0, betas=(0.9, 0.95), eps=1e-10, fused=True)
        self.momenta = torch.zeros(len(self.matrices), *self.matrices[0].shape, device=self.matrices[0].device)
        if saved:
            self.adam.load_state_dict(saved["adam"])
            self.momenta.copy_(saved["momenta"])

    @torch.no_grad()
    def step(self, rate):
        torch.nn.utils.clip_grad_norm_(self.others, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = 3e-3 * rate
        self.adam.step()
        gradients = torch.stack([p.grad for p in self.matrices])
        self.momenta.lerp_(gradients, 0.05)
        updates = orthogonalised(gradients.lerp(self.momenta, 0.95))
        for p, update in zip(self.matrices, updates):
            p.mul_(1 - 0.02 * rate * 0.05).add_(update, alpha=-0.02 * rate)
        for p in self.matrices + self.others:
            p.grad = None


def averaged(parameters, share, world):
    """All ranks get the mean gradients, and agree on the share of the time that is used up."""
    flat = torch.cat([torch.tensor([share])] + [p.grad.flatten() for p in parameters])
    dist.all_reduce(flat)
    flat /= world
    at = 1
    for p in parameters:
        p.grad.copy_(flat[at : at + p.numel()].view_as(p))
        at += p.numel()
    return float(flat[0])


def main():
    work, minutes, *more = sys.argv[1:]
    start, full_rate = (more + [None, 1][len(more) :])[:2]
    seconds = float(minutes) * 60
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cuda" if torch.cuda.is_available() and world == 1 else "cpu")
    n_bundles, n_negatives, pause = GPU if device.type == "cuda" else CPU
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    # It plans for a second whenever it meets a new shape, and every batch has one.
    torch.backends.cuda.enable_cudnn_sdp(False)
    if world > 1:
        dist.init_process_group("gloo")
    torch.manual_seed(0)
    model, saved = begun(work, start, device)
    optimiser = Optimiser(model, saved)
    used, step, seen = (saved[name] for name in ("used", "step", "seen")) if saved else (0.0, 0, 0)
    paths = sorted(glob.glob(f"{work}/train*.bin"))
    n_skipped = step * world * n_bundles if len(paths) == 1 else 0
    batches = Batches(paths, model.learned.cpu().numpy(), n_bundles, n_negatives, rank, world, n_skipped)
    n_workers = len(paths) if len(paths) > 1 else 0
    loader = iter(DataLoader(batches, batch_size=None, num_workers=n_workers, pin_memory=device.type == "cuda"))
    parameters = list(model.parameters())
    if rank == 0:
        n_parameters = sum(p.numel() for p in parameters)
        print("parameters", n_parameters, "learned ids", len(model.learned), "on", device, flush=True)
    started, losses, next_report = time.time() - used, [], used + pause
    share, since, n_read = used / seconds, time.time(), 0
    while share < 1:
        model.quant = share > QUANTISED_FROM
        rate = float(full_rate) * min(1, (step + 1) / 50) * min(1, (1 - share) / 0.6)
        batch = next(loader).to(device)
        loss, balance = loss_of(model, batch)
        (loss + 0.003 * balance).backward()
        share = (time.time() - started) / seconds
        if world > 1:
            share = averaged(parameters, share, world)
        optimiser.step(rate)
        step, seen, n_read = step + 1, seen + len(batch.targets) * world, n_read + len(batch.inverse) * world
        losses.append(loss.detach())
        used = share * seconds
        if rank == 0 and step % 50 == 0:
            mean, pace = float(torch.stack(losses).mean()), n_read / (time.time() - since)
            print(
                f"step {step} minute {used / 60:.2f} loss {mean:.4f} learnt {seen / 1e6:.2f}M, {pace:.0f} tokens/s",
                flush=True,
            )
            losses, n_read, since = [], 0, time.time()
        if (used > next_report or share >= 1) and rank == 0:
            n_tested = 6 if share < 1 else None
            tests = {
                path: exact_share(model, path, n_tested, device) for path in sorted(glob.glob(f"{work}/test-*.bin"))
            }
            shares = {os.path.basename(path)[5:-4]: f"{100 * found:.1f}%" for path, found in tests.items()}
            print(f"EXACT minute {used / 60:.1f}", shares, flush=True)
            state = {
                "config": asdict(model.c),
                "model": {name: value.cpu() for name, value in model.state_dict().items()},
                "adam": optimiser.adam.state_dict(),
                "momenta": optimiser.momenta,
                "used": used,
                "step": step,
                "seen": seen,
            }
            torch.save(state, f"{work}/stapes.pt.new")
            os.replace(f"{work}/stapes.pt.new", f"{work}/stapes.pt")
        if used > next_report:
            next_report += pause


if __name__ == "__main__":
    main()
