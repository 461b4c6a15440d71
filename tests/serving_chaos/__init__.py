"""Asks a server all the while for features whose values tell their version, and disturbs everything below it.

``python -m tests.serving_chaos --seconds 600 --seed 7``

Requests come at a fixed rate, whatever becomes of the ones before. Meanwhile Redis is killed, paused and started again,
workers are killed, and in a process of its own versions of two views are published and rolled back again and again.
Each answer is judged: a value that no version has, two versions of a view in one answer, a version that was not served
at that time, and an error that no outage explains (the outage, and two seconds), an error that came late.
"""
