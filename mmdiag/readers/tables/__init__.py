"""Tables: from delimited and Parquet files to keys, text and numbers, one row a case."""
