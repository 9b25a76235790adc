"""A sandbox: the whole service over invented data, to try programs and questions where nothing can be lost.

It is made of the texts of dataset and query files. Their workspace is only looked at, its data never; what it lives in
is a folder of its own that is gone afterwards.
"""
