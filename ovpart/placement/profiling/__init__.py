"""Where the time of a run goes: clusters, layers of engines, nodes. Compiled for it apart; never on in other runs."""
