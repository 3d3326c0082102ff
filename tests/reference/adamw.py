#!/usr/bin/env python3
"""Three steps of torch.optim.AdamW and torch's gradient clipping, whose numbers tests/unit/train/test_optimizer.c
holds. Needs PyTorch; nothing in the build or the tests runs it."""
import torch

values = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 3.0, 0.0]))
gradients = [[0.1, -0.2, 0.3, 0.0, 1e-4], [0.5, 0.25, -0.125, 0.0, 1e-4], [-1.0, 2.0, 4.0, 1e-3, -1e-4]]
optimizer = torch.optim.AdamW([values], lr=0.1, betas=(0.8, 0.999), eps=1e-8, weight_decay=0.01)
for step, (gradient, rate) in enumerate(zip(gradients, (0.1, 0.05, 0.02))):
    optimizer.param_groups[0]["lr"] = rate
    values.grad = torch.tensor(gradient)
    optimizer.step()
    print(step + 1, [float("%.9g" % v) for v in values.tolist()])
values.grad = torch.tensor([3.0, 4.0, 0.0, 0.0, 12.0])
print("norm", torch.nn.utils.clip_grad_norm_([values], 2.0).item(), values.grad.tolist())
