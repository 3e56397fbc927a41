"""The diagnosis of a Hyper-V host: a ladder of questions, from its name to the peers in its cluster.

Nothing is changed on any machine. Whatever can be asked is asked, also when something before it was wrong.
"""
