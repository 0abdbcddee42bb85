"""From verdicts to a plan: which nodes are compiled together, for which engine. Knows labels, not devices."""
