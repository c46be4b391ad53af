"""The mistakes that are known, each with the sentence that teaches it."""

from __future__ import annotations

KINDS: dict[str, str] = {
    "batch factor": (
        "The loss averages over the m rows of the batch, so its gradient has the factor 1/m "
        "exactly once: a sum where the loss has a mean is m times too large, a second 1/m too"
        " small."
    ),
    "transpose": (
        "A product Y = A @ B passes G @ B.T back to A and A.T @ G to B: sizes must fit, and "
        "with square matrices nothing but the rule tells you."
    ),
    "forgotten branch": (
        "Where a value is used twice, the gradients of both uses add: += and not =, and no "
        "term left out."
    ),
    "mask from the wrong array": (
        "ReLU passes the gradient where its own input was positive: the mask is (z > 0) of "
        "that layer's pre-activation."
    ),
    "pre-activation for activation": (
        "tanh' is 1 - a**2 and the logistic function's slope a*(1 - a), in terms of the "
        "output a, not of the input z."
    ),
    "missing activation derivative": (
        "Behind the activation stands its slope: multiply the gradient by it, entry by entry,"
        " before it goes on to the layer's weights."
    ),
    "wrong activation derivative": (
        "The slope must be that of the activation that the forward pass uses: relu (z > 0), "
        "tanh 1 - a**2, logistic a*(1 - a)."
    ),
    "L2 term": (
        "A penalty lam/2 * sum(W**2) adds lam*W to the gradient of W; without the half it "
        "adds 2*lam*W. It is not divided by m unless the penalty is."
    ),
    "factor 2": (
        "The square's slope has the factor 2: d(r**2) = 2 r dr; with 1/2 in front of the "
        "square it cancels."
    ),
    "bias not summed over the batch": (
        "One bias serves all rows, so its gradient is the sum of the rows' gradients: sum "
        "over axis 0."
    ),
    "wrong axis": "Sum over the axis along which the value was repeated in the forward pass.",
    "sum against mean": (
        "Where the forward pass sums, the backward pass sums; where it averages, it averages."
    ),
    "sign": (
        "Minus in the forward pass is minus in the backward pass; softmax with cross-entropy "
        "gives p - y, not y - p."
    ),
    "softmax treated as element-wise": (
        "Each softmax output depends on every logit: its slope is no p*(1 - p) alone, but p *"
        " (g - sum(g*p)); with cross-entropy p - y."
    ),
    "updates not simultaneous": (
        "All gradients are taken at the same weights: compute every gradient first, then update."
    ),
    "stale cache": (
        "The backward pass belongs to the forward pass just made: keep its values anew at "
        "each call."
    ),
    "wrong layer": (
        "A layer's gradient goes back through that layer's own weights and activations: mind "
        "the index."
    ),
    "broadcasting accident": (
        "A column (n, 1) and a vector (n,) broadcast to (n, n): make the shapes equal first."
    ),
    "wrong variable": "Another value of the forward pass belongs here.",
    "product rule": "A product passes to each factor the gradient times the other factor.",
    "missing factor": "The chain rule multiplies by every local slope on the way; one is missing.",
    "extra factor": "A factor stands here that the chain rule does not have.",
    "wrong operation": "Another operation belongs here.",
    "wrong constant": "A number is off.",
    "wrong power": "The exponent falls by one and comes down as a factor.",
}
