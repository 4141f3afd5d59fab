"""What lies in the folder of a cohort. Whoever writes it and whoever reads it agree here. No axes or units."""

FORMAT = 3
COHORT, STUDIES, LEDGER, VOLUMES = "cohort.json", "studies.parquet", "ledger.parquet", "volumes"
# Label volumes: on the stored grid, and on the grid in the file.
MASKS, SOURCE_MASKS = "masks", "source-masks"
JOURNAL = "ingest.jsonl"  # of the ingest that made it, or is making it
LOCK = "ingest.lock"  # there while one is making it
FINDINGS = "findings.parquet"  # of data sets that mark sentences: what the masks stand for
# What runs keep of the index for the next, reports among it, and what probes keep; may be removed while none runs.
KEPT, FEATURES = "sentences", "features"
