"""Steps of training by PyTorch in float64, from one start: python torch_steps.py > torch_steps.json

Every case is a network, a loss and an optimiser of torch's own (torch.nn.Linear, BatchNorm1d, LayerNorm, GELU, torch.optim),
stepped 1 and 100 times on one batch; Lion, which torch does not have, is the algorithm of its paper written down here. Numbers are listed in the order of `Network::numbers`: of a layer norm gamma and beta; of
an affine map W row-major and b; of a batch norm gamma, beta, running mean, running variance. Multi-margin loss is PyTorch's mean
over classes times k; the squared loss sums over classes and takes the mean over rows.
"""
import json
import sys

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
N, D, K = 7, 5, 3
X = (torch.randn(N, D) * 1000).round() / 1000
Y = torch.tensor([0, 1, 2, 2, 1, 0, 1])
SHARES = torch.softmax((torch.randn(N, K) * 100).round() / 100, 1)
MASKS = [(torch.rand(N, 6) > 0.25).double() / 0.75, (torch.rand(N, 4) > 0.25).double() / 0.75]
RATES = {"lion": 0.002}


class Masked(nn.Module):
    """Dropout with a mask that is given."""

    def __init__(self, mask):
        super().__init__()
        self.mask = mask

    def forward(self, x):
        return x * self.mask


class Lion(torch.optim.Optimizer):
    """Chen and others 2023, algorithm 2, with torch's gradients."""

    def __init__(self, parameters, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                towards = m.mul(beta1).add(p.grad, alpha=1 - beta1)
                p.sub_(group["lr"] * (towards.sign() + group["weight_decay"] * p))
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


class Block(nn.Module):
    """The inverted bottleneck of Scaling MLPs: x + C gelu(E norm(x))."""

    def __init__(self, width, inside):
        super().__init__()
        self.norm, self.expand, self.contract = nn.LayerNorm(width), nn.Linear(width, inside), nn.Linear(inside, width)

    def forward(self, x):
        return x + self.contract(nn.functional.gelu(self.expand(self.norm(x))))


def dense(activation, norm=False, masks=()):
    modules = []
    for i, (fan_in, out) in enumerate([(D, 6), (6, 4)]):
        modules += [nn.Linear(fan_in, out)] + ([nn.BatchNorm1d(out)] if norm else []) + [activation()]
        modules += [Masked(masks[i])] if masks else []
    return nn.Sequential(*modules, nn.Linear(4, K))


def residual():
    return nn.Sequential(nn.Linear(D, 4), Block(4, 6), Block(4, 6), nn.Linear(4, K))


NETWORKS = {
    "relu": lambda: dense(nn.ReLU),
    "gelu": lambda: dense(nn.GELU),
    "batch-norm": lambda: dense(nn.ReLU, norm=True),
    "dropout": lambda: dense(nn.Tanh, masks=MASKS),
    "residual": residual,
}
LOSSES = {
    "softmax": lambda s: nn.functional.cross_entropy(s, Y),
    "smoothed": lambda s: nn.functional.cross_entropy(s, Y, label_smoothing=0.1),
    "shares": lambda s: nn.functional.cross_entropy(s, SHARES),
    "weston-watkins": lambda s: nn.functional.multi_margin_loss(s, Y) * K,
    "squared": lambda s: ((s - nn.functional.one_hot(Y, K)) ** 2).sum(1).mean(),
}
OPTIMISERS = {
    "plain": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adam": (torch.optim.Adam, {}),
    "lion": (Lion, {}),
}
# Network, loss, optimiser, coefficient of the squares' sum and decoupled decay (both of weights alone), limit of the norm.
CASES = (
    [("relu", "softmax", o, 0.0, 0.0, None) for o in OPTIMISERS]
    + [("relu", "softmax", "momentum", 0.01, 0.0, None), ("relu", "softmax", "adam", 0.01, 0.0, None)]
    + [("relu", "softmax", "adam", 0.0, 0.1, None), ("relu", "softmax", "momentum", 0.01, 0.0, 0.2)]
    + [("gelu", l, "momentum", 0.0, 0.0, None) for l in LOSSES]
    + [(n, "softmax", o, 0.0, 0.0, None) for n in ("dropout", "residual") for o in ("momentum", "adam")]
    # Not Adam: the derivative of a bias before a batch norm is 0 but for rounding, which Adam makes a whole step of.
    + [("batch-norm", l, o, 0.001, 0.0, None) for l, o in (("softmax", "momentum"), ("shares", "nesterov"))]
    + [("residual", "smoothed", "nesterov", 0.01, 0.0, 0.5)]
    + [("gelu", "smoothed", "lion", 0.0, 0.3, None), ("dropout", "squared", "lion", 0.0, 0.0, 0.2)]
)


def start(network):
    """torch's own initialisation, rounded so that it can be printed, and vectors moved off 0 and 1."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter += torch.randn_like(parameter) * 0.1
            parameter.copy_((parameter * 1000).round() / 1000)
    return network


def numbers(module):
    if isinstance(module, nn.Linear):
        parts = [module.weight, module.bias]
    elif isinstance(module, nn.LayerNorm):
        parts = [module.weight, module.bias]
    elif isinstance(module, nn.BatchNorm1d):
        parts = [module.weight, module.bias, module.running_mean, module.running_var]
    else:
        return [v for child in module.children() for v in numbers(child)]
    return [float(f"{v:.14g}") for part in parts for v in part.detach().flatten().tolist()]


def run(network_name, loss_name, optimiser_name, l2, decay, clip):
    torch.manual_seed(11)
    network = start(NETWORKS[network_name]())
    kind, settings = OPTIMISERS[optimiser_name]
    if decay and kind is torch.optim.Adam:
        kind = torch.optim.AdamW
        settings = {**settings, "weight_decay": 0.0}
    weights = [p for p in network.parameters() if p.dim() == 2]
    others = [p for p in network.parameters() if p.dim() == 1]
    weight_decay = decay if decay else 2 * l2
    rate = RATES.get(optimiser_name, 0.05)
    optimiser = kind([{"params": weights, "weight_decay": weight_decay}, {"params": others}], lr=rate, **settings)
    case = {"network": network_name, "loss": loss_name, "optimiser": optimiser_name, "l2": l2, "decay": decay,
            "clip": clip, "rate": rate, "start": numbers(network), "losses": []}
    for step in range(1, 101):
        optimiser.zero_grad()
        loss = LOSSES[loss_name](network(X))
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        optimiser.step()
        if step in (1, 2, 100):
            case["losses"].append(loss.item())
        if step in (1, 100):
            case[f"after_{step}"] = numbers(network)
    return json.dumps(case, separators=(",", ":"))


if __name__ == "__main__":
    head = {"torch": torch.__version__, "x": X.tolist(), "labels": Y.tolist(), "shares": SHARES.tolist(),
            "masks": [m.tolist() for m in MASKS]}
    sys.stdout.write(json.dumps(head)[:-1] + ', "cases": [\n' + ",\n".join(run(*c) for c in CASES) + "\n]}\n")
