"""Aggregates, one file a family: how rows become elements, and elements a value.

`base.Aggregate` is what each of them implements; `catalogue.AGGREGATES` lists them.
"""
