"""Pictures and pages for people: cuts through a scan, curves of a run, one HTML file that needs no network."""
