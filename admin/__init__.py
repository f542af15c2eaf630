"""`python -m admin`: the small script of campaign owners and operators."""
