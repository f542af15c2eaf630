"""`python -m admin`: the command line for campaign owners and operators."""
