"""A British gift shop's invoices, December 2010 to December 2011: their definitions, and the same in SQL."""
