"""What a mask costs: the product of shape and saliency against the truth, and saliency alone (CenterMask, section 3.4).

All in float32 and from logits: a product of two sigmoids near 1 has no digits left in 16 bits.
"""

from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf.losses import batch_sum, gather_cells
from centernet_tf.tasks.mask.sampling import resize, sample


def product_bce(shape: Any, saliency: Any, target: Any) -> Any:
    """Binary cross-entropy of the product of two sigmoids, element by element.

    -T log(M) - (1 - T) log(1 - M) of M = sigmoid(L) sigmoid(G). With a = -log(M) = softplus(-L) + softplus(-G), and
    1 - M = exp(-a) (exp(-L) + exp(-G) + exp(-L - G)), this is a - (1 - T) log(exp(-L) + exp(-G) + exp(-L - G)). The
    sum is taken by softplus, whose gradient is right where its terms are equal, too.

    Args:
        shape: L, float32 logits.
        saliency: G, likewise.
        target: T in 0..1.

    Returns:
        Array of their shape.
    """
    own, whole = -shape, -saliency
    either = own + ops.softplus(whole - own)
    others = either + ops.softplus(own + whole - either)
    return ops.softplus(own) + ops.softplus(whole) - (1 - target) * others


def product(shape: Any, saliency: Any, target: Mapping[str, Any]) -> Any:
    """Mean over the objects that have a mask of the mean over their boxes.

    Args:
        shape: [B, h, w, S S] logits, or what `losses.gather_cells` takes instead.
        saliency: [B, h, w, C] logits.
        target: "index" [B, N] int32 cells; "channels" [B, N] int32 of the saliency; "frames" [B, N, 4] boxes in cells;
            "mask" [B, N] float32 of 0 and 1; "value" [B, N, n, n] in 0..1, rows of columns.

    Returns:
        Scalar; exactly 0, without gradient, where no object has a mask.
    """
    value = target["value"]
    sides = value.shape[-2:]
    vectors = ops.cast(gather_cells(shape, target["index"]), "float32")
    batch, count, depth = ops.shape(vectors)
    side = round(depth**0.5)
    own = resize(ops.reshape(vectors, (batch, count, side, side)), sides)
    whole = sample(saliency, target["channels"], target["frames"], sides)
    known = target["mask"]
    errors = ops.mean(product_bce(own, whole, value), axis=(2, 3))
    # Rows of no object may hold anything, and what is no number times 0 is none.
    return batch_sum(ops.where(known > 0, errors, 0.0)) / ops.maximum(batch_sum(known), 1.0)


def direct_saliency(saliency: Any, target: Mapping[str, Any]) -> Any:
    """Binary cross-entropy of the saliency alone, a mean over cells and channels.

    Args:
        saliency: [B, h, w, C] logits.
        target: "value" [B, h, w, C] of 0 and 1; "weight" [B, h, w] of 0 where nothing is known, else 1.

    Returns:
        Scalar; 0 where nothing is known anywhere.
    """
    logits, weight = ops.cast(saliency, "float32"), target["weight"][..., None]
    errors = ops.softplus(logits) - target["value"] * logits
    channels = ops.cast(ops.shape(logits)[-1], "float32")
    return batch_sum(errors * weight) / ops.maximum(batch_sum(weight) * channels, 1.0)
