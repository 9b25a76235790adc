"""The command line: reads arguments, calls one method of the workspace, shows the result.

Whoever can read the workspace's files is its steward here. Results go to stdout, everything else to stderr; in a pipe
both are plain text. Exit status: 0 done, 1 refused or failed with one clear line on stderr, 2 wrong usage.
"""
