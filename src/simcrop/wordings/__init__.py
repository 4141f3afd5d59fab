"""The words of reports that evaluations turn around or look for: sides, lobes, findings, as YAML."""
