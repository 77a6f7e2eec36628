"""Time budgets: how often, how long and when behaviours occur, together and after each other."""
