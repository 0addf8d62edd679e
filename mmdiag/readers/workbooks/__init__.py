"""Workbooks (.xlsx, .xls, .ods) as tables: the values of one sheet, and what it shows besides."""
