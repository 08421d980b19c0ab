"""Which networks can exist: architectures as values, and the spaces of them.

A *skeleton* is a kind of network, in a folder of its own: `residual` and `backbone`. It has an
architecture (what a network is), a space (which ones a search may propose), and a builder, which
makes the module and is the only part that imports torch. `nas_space.spaces.registry` finds spaces.
"""
