"""Where trials run. Inside this package `ray` is the library: all imports are absolute."""
