"""Reads what render.rs wrote and lays several bundles out as one batch: indices and masks, made on the CPU.

Nothing here knows the model. Begin at `Batch`.
"""

import itertools
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from tokens import N_TEXT, VOCAB, twins

LEARNT = 1 << 31
RESERVED_NEGATIVES = 24


def read(path):
    """Bundles of a file or a pipe, each as its prefix's ids and its branches' ids with their marks."""
    with open(path, "rb") as file:
        word = lambda: int.from_bytes(file.read(4), "little")
        block = lambda: np.frombuffer(file.read(4 * word()), "<u4")
        while len(prefix := block()):
            yield prefix, [block() for _ in range(word())]


class Batches(IterableDataset):
    """Without end. Of several files, which may be pipes, each worker reads its own; of one file, each rank its own bundles."""

    def __init__(self, paths, learned, n_bundles, n_negatives, rank=0, world=1, n_skipped=0):
        self.paths, self.learned, self.n_bundles, self.n_negatives = paths, learned, n_bundles, n_negatives
        self.rank, self.world, self.n_skipped = rank, world, n_skipped

    def __iter__(self):
        worker = get_worker_info()
        index, n_workers = (worker.id, worker.num_workers) if worker else (0, 1)
        random = np.random.default_rng([self.n_skipped, self.rank, index])
        endless = itertools.chain.from_iterable(read(path) for path in itertools.cycle(self.paths[index::n_workers]))
        own = itertools.islice(endless, self.n_skipped + self.rank, None, self.world)
        while True:
            bundles = list(itertools.islice(own, self.n_bundles))
            yield Batch.of(bundles, self.learned, self.n_negatives, random)


@dataclass
class Batch:
    """The tokens are all prefixes, one after another, then all branches in order of their length."""

    unique: torch.Tensor  # [u] ids
    inverse: torch.Tensor  # [n] which of them each token is
    positions: torch.Tensor  # [n]
    n_prefix: int  # how many of the tokens are of prefixes
    prefix_real: torch.Tensor  # [bundles, P] where a prefix has a token; short ones stand at the right
    prefix_flat: torch.Tensor  # [n_prefix] the prefixes' tokens among bundles * P
    groups: list  # of branches of similar length: see `groups_of`
    lengths: list  # of the branches
    learnt: torch.Tensor  # [m] which of the branches' tokens are followed by something to learn
    targets: torch.Tensor  # [m] what follows, as one of the candidates
    candidates: torch.Tensor  # [c] ids
    n_exact: int  # how many of them stand for themselves; of the others each stands for many
    n_negatives: int  # how many were sampled

    @staticmethod
    def of(bundles, learned, n_negatives, random):
        bundles = [(prefix.astype(np.int64), branches) for prefix, branches in bundles]
        branches = sorted(
            ((owner, ids) for owner, (_, of_one) in enumerate(bundles) for ids in of_one), key=lambda one: len(one[1])
        )
        plain = [(ids & (LEARNT - 1)).astype(np.int64) for _, ids in branches]
        inputs, following = [ids[:-1] for ids in plain], np.concatenate([ids[1:] for ids in plain])
        learnt = np.flatnonzero(np.concatenate([ids[1:] >= LEARNT for _, ids in branches]))
        n_prefixes = [len(prefix) for prefix, _ in bundles]
        real = rows(n_prefixes, at_right=True)
        positions = [np.arange(n) for n in n_prefixes]
        positions += [n_prefixes[owner] + np.arange(len(ids)) for (owner, _), ids in zip(branches, inputs)]
        unique, inverse = np.unique(np.concatenate([p for p, _ in bundles] + inputs), return_inverse=True)
        targets = following[learnt]
        candidates, n_exact = candidates_of(targets, np.unique(np.concatenate(inputs)), learned, n_negatives, random)
        where = np.zeros(VOCAB, np.int64)
        where[candidates] = np.arange(len(candidates))
        lengths = [len(ids) for ids in inputs]
        t = torch.from_numpy
        return Batch(
            unique=t(unique),
            inverse=t(inverse),
            positions=t(np.concatenate(positions)),
            n_prefix=sum(n_prefixes),
            prefix_real=t(real),
            prefix_flat=t(np.flatnonzero(real)),
            groups=groups_of(lengths, [owner for owner, _ in branches], len(bundles)),
            lengths=lengths,
            learnt=t(learnt),
            targets=t(where[targets]),
            candidates=t(candidates),
            n_exact=n_exact,
            n_negatives=n_negatives,
        )

    def to(self, device):
        move = lambda x: x.to(device, non_blocking=True) if torch.is_tensor(x) else x
        moved = {field.name: move(getattr(self, field.name)) for field in fields(self)}
        moved["groups"] = [tuple(move(x) for x in group) for group in self.groups]
        return Batch(**moved)

    def pin_memory(self):
        pin = lambda x: x.pin_memory() if torch.is_tensor(x) else x
        pinned = {field.name: pin(getattr(self, field.name)) for field in fields(self)}
        pinned["groups"] = [tuple(pin(x) for x in group) for group in self.groups]
        return Batch(**pinned)


def rows(lengths, at_right=False):
    """[rows, longest] which of the places have a token, when runs of these lengths become rows of equal length."""
    longest, own = max(lengths), np.array(lengths)[:, None]
    step = np.arange(longest)[None]
    return step >= longest - own if at_right else step < own


def groups_of(lengths, owners, n_bundles):
    """Branches of similar length, so that little is padded: (how many tokens, the shape [B, L], its tokens among B * L, the bundle
    of each branch [B])."""
    shares = np.cumsum(lengths) / sum(lengths)
    n_groups = min(len(lengths), 3 if n_bundles == 1 else 6)
    cuts = sorted({0, *np.searchsorted(shares, np.arange(1, n_groups) / n_groups).tolist(), len(lengths)})
    found = []
    for first, end in zip(cuts, cuts[1:]):
        real = rows(lengths[first:end])
        flat, owner = torch.from_numpy(np.flatnonzero(real)), torch.tensor(owners[first:end])
        found.append((sum(lengths[first:end]), real.shape, flat, owner))
    return found


TWINS = {}


def candidates_of(targets, context, learned, n_negatives, random):
    """The ids that the softmax is over: the learned ones, the targets, their twins, the ids that were read, and sampled ones that
    each stand for many. And how many are not sampled."""
    rare = np.setdiff1d(targets, learned)
    near = [t for idx in rare.tolist() for t in TWINS.setdefault(idx, twins(idx))]
    exact = np.setdiff1d(np.concatenate([rare, np.array(near, np.int64), context]), learned)
    sampled = np.concatenate(
        [random.integers(N_TEXT, size=n_negatives), random.integers(N_TEXT, VOCAB, RESERVED_NEGATIVES)]
    )
    sampled = np.setdiff1d(sampled, np.concatenate([learned, exact]))
    return np.concatenate([learned, exact, sampled]), len(learned) + len(exact)
