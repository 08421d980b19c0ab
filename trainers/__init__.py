"""Module in, numbers out: data sets, recipes and one training loop for any `nn.Module`."""
