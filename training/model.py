"""Mixtral in PyTorch, written for training on a CPU: the experts' tokens are grouped, nothing is dropped.

Dimensions: n_tokens = batch * n_ctx, hidden, ffn, n_heads, n_kv_heads, head_dim, n_experts, top_k, vocab.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab: int = 2048
    hidden: int = 256
    ffn: int = 256
    n_layers: int = 4
    n_heads: int = 8
    n_kv_heads: int = 2
    head_dim: int = 32
    n_experts: int = 8
    top_k: int = 2
    rope_theta: float = 10000.0
    eps: float = 1e-5


class RMSNorm(nn.Module):
    def __init__(self, hidden, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(hidden)), eps

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def rotary_tables(n_ctx, head_dim, theta):
    """cos and sin [n_ctx, head_dim] for the rotate-half form."""
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.outer(torch.arange(n_ctx, dtype=torch.float64), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x, cos, sin):
    low, high = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-high, low], dim=-1) * sin


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.q_proj = nn.Linear(c.hidden, c.n_heads * c.head_dim, bias=False)
        self.k_proj = nn.Linear(c.hidden, c.n_kv_heads * c.head_dim, bias=False)
        self.v_proj = nn.Linear(c.hidden, c.n_kv_heads * c.head_dim, bias=False)
        self.o_proj = nn.Linear(c.n_heads * c.head_dim, c.hidden, bias=False)

    def forward(self, x, rotary, block=128):
        """x [batch, n_ctx, hidden]. Queries go in blocks that only see the keys up to their end."""
        c, (batch, n_ctx, _) = self.c, x.shape
        group = c.n_heads // c.n_kv_heads
        q = rotate(self.q_proj(x).view(batch, n_ctx, c.n_heads, c.head_dim).transpose(1, 2), *rotary)
        k = rotate(self.k_proj(x).view(batch, n_ctx, c.n_kv_heads, c.head_dim).transpose(1, 2), *rotary)
        v = self.v_proj(x).view(batch, n_ctx, c.n_kv_heads, c.head_dim).transpose(1, 2)
        q = (q * c.head_dim ** -0.5).reshape(batch * c.n_kv_heads, group, n_ctx, c.head_dim)
        k = k.reshape(batch * c.n_kv_heads, n_ctx, c.head_dim)
        v = v.reshape(batch * c.n_kv_heads, n_ctx, c.head_dim)
        outputs = []
        for start in range(0, n_ctx, block):
            end = min(start + block, n_ctx)
            rows = q[:, :, start:end].reshape(-1, group * (end - start), c.head_dim)
            scores = torch.bmm(rows, k[:, :end].transpose(1, 2)).view(-1, group, end - start, end)
            mask = torch.full((end - start, end - start), float("-inf")).triu(1)
            scores = torch.cat([scores[..., :start], scores[..., start:] + mask], dim=-1)
            weights = scores.softmax(-1).view(-1, group * (end - start), end)
            outputs.append(torch.bmm(weights, v[:, :end]).view(-1, group, end - start, c.head_dim))
        out = torch.cat(outputs, dim=2).view(batch, c.n_heads, n_ctx, c.head_dim)
        return self.o_proj(out.transpose(1, 2).reshape(batch, n_ctx, -1))


class Rearrange(torch.autograd.Function):
    """rows[order // copies]; `inverse` undoes `order`, so the gradient is a gather too (and fast)."""

    @staticmethod
    def forward(ctx, rows, order, inverse, copies):
        ctx.save_for_backward(inverse)
        ctx.copies = copies
        return rows[order // copies]

    @staticmethod
    def backward(ctx, grad):
        (inverse,) = ctx.saved_tensors
        grad = grad[inverse]
        if ctx.copies > 1:
            grad = grad.view(-1, ctx.copies, grad.shape[-1]).sum(1)
        return grad, None, None, None


class MoE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.gate = nn.Linear(c.hidden, c.n_experts, bias=False)
        self.w13 = nn.Parameter(torch.empty(c.n_experts, 2 * c.ffn, c.hidden))  # w1 above w3
        self.w2 = nn.Parameter(torch.empty(c.n_experts, c.hidden, c.ffn))

    def forward(self, x):
        """x [n_tokens, hidden]. Returns the output, the balance loss and the tokens of each expert."""
        c = self.c
        logits = self.gate(x)
        top, expert = logits.topk(c.top_k, dim=-1)  # [n_tokens, top_k]
        weight = top.softmax(-1)  # Mixtral's form: the softmax over the chosen logits
        order = expert.flatten().argsort(stable=True)
        inverse = torch.empty_like(order)
        inverse[order] = torch.arange(len(order))
        counts = expert.flatten().bincount(minlength=c.n_experts)
        grouped = Rearrange.apply(x, order, inverse, c.top_k)
        outputs = []
        for e, rows in enumerate(grouped.split(counts.tolist())):
            gate, up = F.linear(rows, self.w13[e]).chunk(2, dim=-1)
            outputs.append(F.linear(F.silu(gate) * up, self.w2[e]))
        out = Rearrange.apply(torch.cat(outputs), inverse, order, 1)
        out = (out.view(-1, c.top_k, c.hidden) * weight.unsqueeze(-1)).sum(1)
        share = counts.float() / len(x)  # sums to top_k
        balance = c.n_experts * (share * logits.softmax(-1).mean(0)).sum()
        return out, balance, counts


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(c.hidden, c.eps), RMSNorm(c.hidden, c.eps)
        self.self_attn, self.block_sparse_moe = Attention(c), MoE(c)

    def forward(self, x, rotary):
        x = x + self.self_attn(self.input_layernorm(x), rotary)
        out, balance, counts = self.block_sparse_moe(self.post_attention_layernorm(x).flatten(0, 1))
        return x + out.view_as(x), balance, counts


class Mixtral(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed_tokens = nn.Embedding(c.vocab, c.hidden)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.n_layers))
        self.norm = RMSNorm(c.hidden, c.eps)
        self.lm_head = nn.Linear(c.hidden, c.vocab, bias=False)
        self._initialise()

    def _initialise(self):
        for name, p in self.named_parameters():
            if p.dim() > 1:
                std = p.shape[-1] ** -0.5
                if name.endswith(("o_proj.weight", "w2")):  # keeps the residual stream's size in check
                    std /= (2 * self.c.n_layers) ** 0.5
                nn.init.normal_(p, std=0.02 if name in ("lm_head.weight",) else std)

    def forward(self, ids):
        """ids [batch, n_ctx]. Returns logits [batch, n_ctx, vocab], balance loss, counts [n_layers, n_experts]."""
        rotary = rotary_tables(ids.shape[1], self.c.head_dim, self.c.rope_theta)
        x, balances, counts = self.embed_tokens(ids), [], []
        for layer in self.layers:
            x, balance, count = layer(x, rotary)
            balances.append(balance)
            counts.append(count)
        return self.lm_head(self.norm(x)), torch.stack(balances).mean(), torch.stack(counts)

    @torch.no_grad()
    def generate(self, ids, n_new, stop=None):
        """Greedy continuation of a list of ids (recomputes everything: for samples during training only)."""
        ids = list(ids)
        for _ in range(n_new):
            token = int(self(torch.tensor([ids]))[0][0, -1].argmax())
            ids.append(token)
            if token == stop:
                break
        return ids
