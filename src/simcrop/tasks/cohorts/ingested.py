"""What an ingest has come to, in a few lines: counts and kinds, and no name of a scan.

No axes or units.
"""

from collections import Counter
from pathlib import Path

import polars as pl

from simcrop.data.ingest import IngestResult
from simcrop.data.ingest.leavings import stored
from simcrop.data.split import SHARES
from simcrop.data.store.format import LEDGER, MASKS, STUDIES, VOLUMES


def lines_of(
    result: IngestResult, cohort: Path, shard: bool, named: bool, prune: bool = False
) -> tuple[str, list[str]]:
    """The count, and what else a user should know of the `cohort`. `shard`: of a share of the scans, whose tables are
    not written yet; `named`: the cohort tells where its inputs lie; `prune`: what it does not list was to be removed.
    """
    where = result.cohort if shard else cohort / LEDGER
    nothing = "" if result.taken else "nothing could be taken: "
    count = f"{nothing}{result.taken} taken, {result.refused} refused: {where}"
    helps = f"{where} says of each what helps" if named else "an ingest without --pseudonymise names each"
    lines = [] if shard else lines_of_tables(cohort, helps)
    if prune:
        lines.append(pruned_line(result))
    if result.left:
        lines.append(f"not read: {result.left}; {helps}")
    if result.unread:
        columns = f"columns of 0 and 1 ({', '.join(result.unread)})"
        columns = columns if named else f"{len(result.unread)} columns of 0 and 1"
        lines.append(f"not read: {columns}; a label's column is label:NAME")
    if result.shelved:
        lines.append(
            "all scans lie in one folder, which is not taken for one patient's; a column `patient` of --reports says "
            "whose each is"
        )
    if result.odd_splits:
        lines.append(
            f"splits: {result.odd_splits}; known are {', '.join(SHARES)}, others are taken where named"
        )
    if result.sides:
        lines.append(
            f"patients on several sides of the stated split: {result.sides}; {helps}, and --split own draws one anew"
        )
    return count, lines


def pruned_line(result: IngestResult) -> str:
    """What `--prune` came to."""
    if not result.taken:
        return "nothing was pruned, for nothing could be taken"
    return f"pruned: {result.pruned} stored scans that the cohort does not list, and what runs had kept beside it"


def lines_of_tables(cohort: Path, helps: str) -> list[str]:
    """Why inputs were refused, by kinds; scans without a report; what is stored of scans that are no longer there."""
    lines, ledger = [], pl.read_parquet(cohort / LEDGER, columns=["id", "status", "reason"])
    reasons = Counter(ledger.filter(pl.col("status") == "refused")["reason"].to_list())
    if reasons:
        kinds = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        lines.append(f"refused: {kinds}; {helps}")
    studies = pl.read_parquet(cohort / STUDIES, columns=["id", "findings", "impression"])
    bare = studies.filter((pl.col("findings") == "") & (pl.col("impression") == "")).height
    if bare and not (bare == studies.height and (cohort / MASKS).is_dir()):  # scans to segment need none
        lines.append(f"without a report: {bare} of {studies.height} scans")
    known = set(studies["id"])
    gone = sum(path.parent.name == VOLUMES and path.stem not in known for path in stored(cohort))
    if gone:
        lines.append(
            f"still stored: {gone} scans that the source no longer holds, or holds damaged; the cohort does not list "
            "them, and --prune removes them"
        )
    return lines
