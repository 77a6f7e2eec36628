"""Time budgets as tables, workbooks and pages."""
