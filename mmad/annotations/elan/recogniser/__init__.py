"""A recogniser in ELAN's Recognizers tab: its files, and how ELAN talks to it."""
