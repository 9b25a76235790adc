"""How much releases really tell about one unit: a lower bound on their privacy loss, measured from outside.

The audit makes a workspace of its own with synthetic data, asks its queries through the very path that every door uses
(`workspace.releases.make`), and guesses from the noisy answers alone whether a unit, the canary, is in the data. What
it guesses right more often than the charge allows, for certain, is a privacy violation, wherever in the path it
comes from: bounding, grid, price, noise or the answer.

It knows what a strong adversary knows: the rest of the data, the canary's rows, the query, the charge. It never opens
an exact answer.
"""
