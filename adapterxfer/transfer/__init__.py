"""The verbs: train an intermediate, train a target, evaluate, predict, examine the machine."""
