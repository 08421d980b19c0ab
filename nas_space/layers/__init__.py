"""The modules of the convolution types, in plain torch: trained, counted, traced and shipped.

One short file a type, which imports torch and the standard library alone. An exported network
carries the text of these classes (`nas_space.layers.source`), so what is written here is what a
user gets. Whatever makes training faster is a pass over them (`trainers.fast`).

Every layer maps (N, c_in, H, W) to (N, c_out, ceil(H/stride), ceil(W/stride)), without a bias.
"""
