"""Long random runs: changing machines, faults, kills and commands of Pulumi, against a model of what is allowed."""
