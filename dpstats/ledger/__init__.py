"""The only writer of budgets, charges and releases, and the register of what may be asked by whom.

What it promises: no charge is ever lost, no budget is ever overspent, every number that leaves has a durable charge
committed before a row was read, one charge never shows two draws, and rewriting history is visible. `open_store` is
the way in.
"""
