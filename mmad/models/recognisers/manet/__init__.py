"""MANet: heads of actions and of their label vectors."""
