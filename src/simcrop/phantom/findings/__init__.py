"""The 18 findings: which a patient has, where, and the bodies that they are."""
