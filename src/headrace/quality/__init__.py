"""Quality: what rows must be before they count. Contracts, duplicates and masks."""
