"""Videos with one emotion and a set of actions each: lists, their validation and statistics."""
