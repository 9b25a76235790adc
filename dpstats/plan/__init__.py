"""From an approved query and its parameters to a printable, hashable `Plan`.

Pure: it knows no file, database, network, clock or randomness. The user's SQL is parsed and understood; the SQL that
runs is written anew from what was understood, so nothing that was not understood can reach the database.
"""
