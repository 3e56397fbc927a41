"""The conformance suite: facts about Windows that the product relies on, each with an observation that can disprove it.

The same observations run against the simulator and against real machines. They use the connections and messages of the
product. A difference between the expected and the observed value is a result, and not a failure of the run.
"""
