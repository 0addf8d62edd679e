"""Data contracts: rules for every table that crosses a boundary, and how they fared."""
