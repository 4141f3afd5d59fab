"""Files that this package writes itself: whole or absent, in lines or in tensors, known again by their content."""
