"""Findings put into real scans."""
