"""Where the bytes of every constant of the main scope lie: mapped, handed out as views, never copied."""
