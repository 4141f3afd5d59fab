"""What lies in the folder of a cohort. Whoever writes it and whoever reads it agree here. No axes or units."""

FORMAT = 2
COHORT, STUDIES, LEDGER, VOLUMES = "cohort.json", "studies.parquet", "ledger.parquet", "volumes"
JOURNAL = "ingest.jsonl"  # of the ingest that made it, or is making it
LOCK = "ingest.lock"  # there while one is making it
