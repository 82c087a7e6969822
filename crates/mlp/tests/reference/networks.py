"""Multilayer perceptrons: scores, loss, gradients, and steps of SGD with momentum.

    python networks.py > networks.json

Wants numpy. Everything is float64:

    h_0 = x,  h_l = act(h_{l-1} W_l^T + b_l),  scores = h_{last} W^T + b  (no activation after the last layer)
    L = (1/n) sum_i L_i + lambda sum_l sum W_l^2, biases not penalised
    v <- rho v + dW,  W <- W - lr v, full batches, v starts at 0 and covers biases

W_l is (outputs, inputs), printed row-major. Losses: softmax, and weston_watkins = sum_{j != y} max(0, s_j - s_y + 1).
Activations by the lecture: sigmoid, tanh, relu, leaky relu max(0.2 x, x), softplus log(1 + e^x), ELU with alpha = 1,
identity. Backpropagation is checked against central differences to 1e-8 for every parameter; no input of an activation
and no margin of a hinge lies within 1e-3 of its kink there.
"""
import json

import numpy as np

rng = np.random.default_rng(11)
N, LR, RHO, STRENGTH = 6, 0.05, 0.9, 0.01
SHAPES = [(4, 5, 3), (4, 6, 5, 3)]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# name -> (value, derivative by the input z)
ACTIVATIONS = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "leaky_relu": (lambda z: np.maximum(0.2 * z, z), lambda z: np.where(z > 0, 1.0, 0.2)),
    "softplus": (lambda z: np.logaddexp(0, z), sigmoid),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0)))),
    "identity": (lambda z: z, np.ones_like),
}


def softmax(s, y):
    shifted = s - s.max(1, keepdims=True)
    e = np.exp(shifted)
    rows = np.arange(len(y))
    p = e / e.sum(1, keepdims=True)
    loss = (np.log(e.sum(1)) - shifted[rows, y]).mean()
    p[rows, y] -= 1
    return loss, p / len(y), np.inf


def weston_watkins(s, y):
    rows = np.arange(len(y))
    m = s - s[rows, y][:, None] + 1
    m[rows, y] = 0
    nearest_kink = np.abs(m[np.arange(s.shape[1]) != y[:, None]]).min()
    g = (m > 0).astype(float)
    g[rows, y] = -g.sum(1)
    return np.maximum(m, 0).sum(1).mean(), g / len(y), nearest_kink


LOSSES = {"softmax": softmax, "weston_watkins": weston_watkins}


def forward(x, parameters, activation):
    """-> inputs of every layer, and what each layer gives before its activation."""
    value, _ = ACTIVATIONS[activation]
    inputs, outputs = [x], []
    for l, (w, b) in enumerate(parameters):
        outputs.append(inputs[-1] @ w.T + b)
        if l + 1 < len(parameters):
            inputs.append(value(outputs[-1]))
    return inputs, outputs


def full_loss(x, y, parameters, activation, loss):
    scores = forward(x, parameters, activation)[1][-1]
    return LOSSES[loss](scores, y)[0] + STRENGTH * sum((w * w).sum() for w, _ in parameters)


def backward(x, y, parameters, activation, loss):
    inputs, outputs = forward(x, parameters, activation)
    d = LOSSES[loss](outputs[-1], y)[1]
    gradients = []
    for l in reversed(range(len(parameters))):
        w, _ = parameters[l]
        gradients.insert(0, [d.T @ inputs[l] + 2 * STRENGTH * w, d.sum(0)])
        if l > 0:
            d = (d @ w) * ACTIVATIONS[activation][1](outputs[l - 1])
    return gradients


def far_from_kinks(x, y, parameters, activation, loss):
    outputs = forward(x, parameters, activation)[1]
    inner = np.inf if activation in ("sigmoid", "tanh", "softplus", "identity") else min(np.abs(z).min() for z in outputs[:-1])
    return min(inner, LOSSES[loss](outputs[-1], y)[2]) > 1e-3


def check(x, y, parameters, activation, loss, gradients):
    assert far_from_kinks(x, y, parameters, activation, loss), (activation, loss)
    step = 1e-5
    for layer, layer_gradients in zip(parameters, gradients):
        for a, g in zip(layer, layer_gradients):
            for i in np.ndindex(a.shape):
                kept = a[i]
                a[i] = kept + step
                above = full_loss(x, y, parameters, activation, loss)
                a[i] = kept - step
                below = full_loss(x, y, parameters, activation, loss)
                a[i] = kept
                assert abs((above - below) / (2 * step) - g[i]) < 1e-8, (activation, loss, i)


def train(x, y, parameters, activation, loss, steps):
    parameters = [[w.copy(), b.copy()] for w, b in parameters]
    velocity = [[np.zeros_like(w), np.zeros_like(b)] for w, b in parameters]
    for _ in range(steps):
        for layer, speed, gradient in zip(parameters, velocity, backward(x, y, parameters, activation, loss)):
            for part in (0, 1):
                speed[part] = RHO * speed[part] + gradient[part]
                layer[part] = layer[part] - LR * speed[part]
    return parameters


def flat(parameters, digits=13):
    return [float(f"{v:.{digits}g}") for layer in parameters for part in layer for v in np.ravel(part)]


def rounded(shape, scale):
    return np.round(rng.standard_normal(shape) * scale, 3)


def case(x, y, parameters, activation, loss):
    gradients = backward(x, y, parameters, activation, loss)
    check(x, y, parameters, activation, loss, gradients)
    return {
        "activation": activation,
        "loss": loss,
        "scores": [float(f"{v:.15g}") for v in forward(x, parameters, activation)[1][-1].ravel()],
        "value": full_loss(x, y, parameters, activation, loss),
        "gradients": flat(gradients),
        "after_1": flat(train(x, y, parameters, activation, loss, 1)),
        "after_100": flat(train(x, y, parameters, activation, loss, 100)),
        "value_after_100": full_loss(x, y, train(x, y, parameters, activation, loss, 100), activation, loss),
    }


def network(shape):
    y = np.array([0, 1, 2, 2, 1, 0])
    while True:  # drawn again until no case is too near to a kink
        x = rounded((N, shape[0]), 1.0)
        parameters = [[rounded((o, i), 0.6), rounded(o, 0.2)] for i, o in zip(shape, shape[1:])]
        if all(far_from_kinks(x, y, parameters, a, l) for a in ACTIVATIONS for l in LOSSES):
            break
    cases = [case(x, y, parameters, a, l) for a in ACTIVATIONS for l in LOSSES]
    return {"shape": shape, "x": x.ravel().tolist(), "labels": y.tolist(), "parameters": flat(parameters)}, cases


parts = []
for shape in SHAPES:
    head, cases = network(shape)
    text = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    parts.append(json.dumps(head, separators=(",", ":"))[:-1] + ',"cases":[\n' + text + "]}")
print(f'{{"n": {N}, "lr": {LR}, "rho": {RHO}, "l2": {STRENGTH}, "networks": [')
print(",\n".join(parts))
print("]}")
