"""The Faust app and its agents: the order of effects, no decisions."""
