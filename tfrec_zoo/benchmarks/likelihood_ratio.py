"""A judge that reads two languages: it says how much likelier a sequence is as a real one than as a written one.

A discriminator learns to tell two sets of sequences apart; here both have a language of their own, that of a generator
which learned the real ones by likelihood until its held-out likelihood was best, and the one that writes. By Bayes'
rule the logit of "real" is log p_real(x) - log p_written(x), what a perfect discriminator says (Goodfellow et al., GAN,
NeurIPS 2014, proposition 1). Its mean over what is written is -KL(written || real), so a policy gradient along it
lowers that; the mediator of Lu et al., CoT, ICML 2019, rests on the same idea.
"""

from __future__ import annotations

import tensorflow as tf

from tfrec_zoo.benchmarks.oracle_language import Language


class LikelihoodRatio:
    """The judge.

    Args:
        real: What real sequences taught.
        written: What writes the others; it may go on learning.
    """

    def __init__(self, real: Language, written: Language) -> None:
        self._real, self._written = real, written

    def __call__(self, sequences: tf.Tensor) -> tf.Tensor:
        """The logits that sequences, int32 (n, length), are real, an item: float32 (n,), in nats."""
        return self._written.nlls_in_graph(sequences) - self._real.nlls_in_graph(sequences)
