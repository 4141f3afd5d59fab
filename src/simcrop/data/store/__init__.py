"""The cohort on disk: its files, its index of studies, its volumes."""
