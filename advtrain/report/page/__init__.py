"""The page: content and drawn figures to one HTML file that asks nobody for anything."""
