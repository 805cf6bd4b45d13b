"""The reference pages under docs/, generated from the code that they describe."""
