"""What is learnt while a plan meets its engines: trials, demotions, evidence."""
