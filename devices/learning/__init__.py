"""What one device learns and from what: data sets, episodes, models, meta-gradients, scores.

May import torch, numpy, scipy, pillow and nothing of ours. `plugins`, `datasets`, `glyphs` and `omniglot` do
without torch, so that a set can be made or inspected where torch is not installed.
"""
