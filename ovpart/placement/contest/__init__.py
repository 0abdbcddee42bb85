"""Which of several right ways to run a model is the fastest here: measured once, on the user's own inputs."""
