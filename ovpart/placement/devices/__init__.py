"""Which devices a session asks for, and what each is told."""
