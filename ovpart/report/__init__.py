"""The facts of a plan and of its runs, and how to show them. Reads everything, changes nothing."""
