"""Recogniser with primary and auxiliary heads."""
