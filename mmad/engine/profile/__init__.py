"""The cost of a run: parameters, multiply-adds, time and memory."""
