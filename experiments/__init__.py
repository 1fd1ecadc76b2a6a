"""The reference runs: `python -m experiments` lists them, `python -m experiments NAME` runs one.

`studies/` train and compare, `analyses/` look at what was trained; each ends in one file of results/.
"""
