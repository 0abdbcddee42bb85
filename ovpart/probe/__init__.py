"""How the support table is measured: cases of every operator, each judged in a process that may die."""
