"""Steps with products of bfloat16 by PyTorch: python torch_bf16.py > torch_bf16.json

A network 256-256-128-10 of rectifiers or GELU with 128 rows, SGD with momentum. Numbers that a product of one of the first two layers
reads are rounded by torch's own conversion to bfloat16, on the way there and back; everything else is float64. Three steps, once rounded and once not:
losses before each, and every 97th number of the network (W row-major, then b, layer by layer) after them. First numbers and rows
are those of `hashed` below, which the test has too, rounded to float32.
"""
import json
import sys

import torch
from torch import nn

N, WIDTHS, RATE = 128, [256, 256, 128, 10], 0.05


def hashed(count, salt, scale):
    """Numbers between -scale and scale that look like noise."""
    words = (torch.arange(count) * 2654435761 + salt * 40503) % 2**32
    words = (words ^ (words >> 15)) * 2246822519 % 2**32
    return ((words.double() / 2**31 - 1) * scale).float().double()


def rounded(x):
    return x.float().bfloat16().double()


class Product(torch.autograd.Function):
    """X W' of rounded numbers, and its derivatives of rounded ones."""

    @staticmethod
    def forward(context, x, w):
        context.save_for_backward(x, w)
        return rounded(x) @ rounded(w).T

    @staticmethod
    def backward(context, delta):
        x, w = context.saved_tensors
        return rounded(delta) @ rounded(w), rounded(delta).T @ rounded(x)


def train(activation, rounds):
    x, labels = hashed(N * WIDTHS[0], 1, 1.0).view(N, -1), torch.arange(N) % WIDTHS[-1]
    layers = []
    for i, (fan_in, out) in enumerate(zip(WIDTHS, WIDTHS[1:])):
        layers.append((hashed(out * fan_in, 10 + i, (6 / fan_in) ** 0.5).view(out, fan_in).requires_grad_(),
                       hashed(out, 20 + i, 0.1).requires_grad_()))
    optimiser = torch.optim.SGD([p for layer in layers for p in layer], lr=RATE, momentum=0.9)
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        a = x
        for i, (w, b) in enumerate(layers):
            z = (Product.apply(a, w) if rounds and i < 2 else a @ w.T) + b
            a = activation(z) if i < 2 else z
        loss = nn.functional.cross_entropy(a, labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    numbers = torch.cat([p.detach().flatten() for layer in layers for p in layer])
    return {"losses": losses, "numbers": [round(value, 9) for value in numbers[::97].tolist()]}


if __name__ == "__main__":
    activations = {"relu": nn.functional.relu, "gelu": nn.functional.gelu}
    cases = {name: {"rounded": train(call, True), "exact": train(call, False)} for name, call in activations.items()}
    json.dump(cases, sys.stdout)
    print()
