"""A chest without findings: what is drawn of a patient, and the solids that it is made of."""
