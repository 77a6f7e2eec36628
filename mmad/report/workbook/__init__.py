"""Workbooks (xlsx) of tables for people who work with spreadsheets."""
