"""Pure science: privacy loss, mechanisms, conversion, accuracy.

Nothing here knows a file, a database, a clock or an environment. The only randomness is OpenDP's own sampler,
which draws from the operating system.
"""
