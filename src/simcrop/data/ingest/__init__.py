"""Raw scans and reports become a cohort, one scan at a time, and nothing is lost on the way."""

from simcrop.data.ingest.run import IngestResult, ingest, prepare

__all__ = ["IngestResult", "ingest", "prepare"]
