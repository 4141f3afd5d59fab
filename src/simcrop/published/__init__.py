"""What papers print of their own results, as YAML: facts to lay beside ours, never mixed with them."""
