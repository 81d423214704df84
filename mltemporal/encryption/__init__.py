"""What goes through Temporal is sealed: nobody without the keys can read it, or make the like of it.

`keyring` holds the keys, `sealing` makes and opens one payload, `codec` and `converter` put that
where Temporal's SDK converts values, `gate` and `tasks` refuse what came sealed for something else
or not sealed at all. `plugin` is all of it for a client and its workers.
"""
