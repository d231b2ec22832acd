"""From the stages' numbers to tables, claims, figures and the page."""
