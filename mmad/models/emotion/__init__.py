"""The network of emotions and sets of actions: a branch for faces and one for bodies."""
