"""The model of the capstone: a small Mixtral with the parts of infimum in it, and what trains it."""

from __future__ import annotations

import functools
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import tokenizers
import torch
import transformers
from torch.distributed.fsdp import fully_shard

from infimum import memory, nn, optim

VOCABULARY, WIDTH, CONTEXT, BATCH = 2048, 64, 64, 16
PEAK, DECAY, WARMUP, MOMENTUM = 1e-2, 2.0, 10, 0.9
HELD_OUT = 10  # every so many-th topic


class Parts(NamedTuple):
    """Which parts a run has; an ablation takes one of them away."""

    embedding: bool = True  # ProductEmbedding, else a table of its own for every token
    bias: bool = True  # balanced routers, else the stock ones
    muon: bool = True  # MuonAdamW with a certified table, else AdamW alone
    memory: bool = True  # learning rates from a memory of the gradients, else warm-up and cosine
    polynomial: bool = True  # a certified polynomial in place of SiLU


@functools.cache
def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Return a byte-pair tokenizer of the documentation that comes with Python."""
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    model.train_from_iterator([topics[name] for name in sorted(topics)], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=model)


@functools.cache
def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the text to train on, and that which is held out, as token ids."""
    texts: list[list[str]] = [[], []]
    for number, name in enumerate(sorted(topics)):
        texts[number % HELD_OUT == 0].append(topics[name])
    ids = [tokenizer()("\n\n".join(part), verbose=False)["input_ids"] for part in texts]
    return torch.tensor(ids[0]), torch.tensor(ids[1])


def windows(text: torch.Tensor, seed: int, step: int, count: int = BATCH) -> torch.Tensor:
    """Return windows of a text, the same for a seed and a step whatever came before: a resumption needs no state."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + step)
    starts = torch.randint(len(text) - CONTEXT, (count,), generator=generator)
    return torch.stack([text[start : start + CONTEXT] for start in starts])


def stock(**options: Any) -> transformers.MixtralForCausalLM:
    """Return the model without any of the parts."""
    config = transformers.MixtralConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=8,
        num_experts_per_tok=2,
        max_position_embeddings=CONTEXT,
        **options,
    )
    return transformers.MixtralForCausalLM(config)


def build(parts: Parts, seed: int) -> transformers.MixtralForCausalLM:
    """Return the model with its parts."""
    torch.manual_seed(seed)
    model = stock()
    if parts.embedding:
        counts = torch.bincount(tokens()[0], minlength=VOCABULARY)
        embedding = nn.ProductEmbedding(VOCABULARY, WIDTH, counts=counts, combine="add")
        with torch.no_grad():
            for table in embedding.parameters():
                table.mul_(0.02)  # as the stock model draws them
        model.model.embed_tokens = embedding
    if parts.polynomial:
        for layer in model.model.layers:
            layer.mlp.experts.act_fn = activation()
    if parts.bias:
        nn.convert_router(model)
    return model


@functools.cache
def activation() -> nn.MinimaxActivation:
    """Return the polynomial of degree 12 nearest to SiLU on [-8, 8]."""
    return nn.MinimaxActivation("silu", 12)


@functools.cache
def design(steps: int) -> memory.Schedule:
    """Return learning rates by which the gradients of all batches are remembered as evenly as caps and share allow."""
    return memory.design(
        "uniform", steps, max_lr=PEAK, weight_decay=DECAY, warmup=WARMUP, max_initial_share=share(steps), beta1=MOMENTUM
    )


def share(steps: int) -> float:
    """Return what a warm-up and the exact rule leave of the initialisation: even gradients may leave no more."""
    return memory.design("uniform", steps, max_lr=PEAK, weight_decay=DECAY, warmup=WARMUP).initial_share


def trainers(model: torch.nn.Module, parts: Parts, steps: int) -> tuple[Any, Any, optim.BalanceController | None]:
    """Return optimizer, scheduler and controller."""
    if parts.muon:
        groups = optim.split_parameters(model, split={"gate_up_proj": optim.Split(2)})
        table = optim.default_schedule()
        optimizer: Any = optim.MuonAdamW(groups, lr=PEAK, weight_decay=DECAY, momentum=MOMENTUM, schedule=table)
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK, weight_decay=DECAY, betas=(0.9, 0.95))
    if parts.memory:
        scheduler: Any = optim.MemoryLR(optimizer, design(steps))
    else:
        scheduler = transformers.get_cosine_schedule_with_warmup(optimizer, WARMUP, steps)
    # early in so short a run the routers move faster than steps of a fixed size
    controller = optim.BalanceController(model, rule="midpoint").attach(optimizer) if parts.bias else None
    return optimizer, scheduler, controller


def sharded(model: transformers.MixtralForCausalLM) -> transformers.MixtralForCausalLM:
    """Shard the model over all processes (FSDP2)."""
    for layer in model.model.layers:
        fully_shard(layer)
    return fully_shard(model)


def write(state: dict[str, torch.Tensor], parts: Parts, folder: Path) -> None:
    """Write the stock model that a trained one stands for: rows of the embedding multiplied out, SiLU as it is."""
    trained, plain = build(parts, 0), stock(router_aux_loss_coef=0.0)
    trained.load_state_dict(state)
    found = trained.state_dict()
    if parts.embedding:
        found = {name: value for name, value in found.items() if ".embed_tokens." not in name}
        found["model.embed_tokens.weight"] = trained.model.embed_tokens.to_dense().detach()
    plain.load_state_dict({name: value for name, value in found.items() if not name.endswith("expert_bias")})
    plain.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


@torch.no_grad()
def held_out_loss(model: torch.nn.Module) -> float:
    """Return the mean cross-entropy of the held-out text, in nats a token."""
    text = tokens()[1]
    rows = text[: len(text) // CONTEXT * CONTEXT].reshape(-1, CONTEXT)
    training = model.training
    model.eval()
    losses = [float(model(input_ids=part, labels=part).loss) * len(part) for part in rows.split(64)]
    model.train(training)
    return sum(losses) / len(rows)


def names(parts: Parts) -> str:
    """Name a run by what it lacks."""
    missing = [name for name, on in parts._asdict().items() if not on]
    return "everything" if not missing else "without " + " and ".join(missing)
