"""What a run may live with: samples that cannot be read, steps whose loss is not finite. All processes decide together.

No axes or units. Both are counted over the whole run, from its journal when it is resumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from simcrop.engine.company import at_rank
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.journal import Row
from simcrop.errors import AgreedError, SimcropError


@dataclass
class Incidents:
    """`unread`: the names of all samples that could not be read so far; `skipped`: steps."""

    unread: set[str] = field(default_factory=set)
    skipped: int = 0


def earlier_incidents(rows: Sequence[Row], context: DistributedContext) -> Incidents:
    """By the journal, whose `rows` the main process has."""
    told = [row for row in rows if row.keys() & {"unread", "skipped"}] if context.is_main else []
    rows = context.all_gather(told)
    unread = {name for row in rows for name in row.get("unread", {})}
    return Incidents(unread, sum("skipped" in row for row in rows))


def agree_on_unread(
    micro: Sequence[Any], earlier: Incidents, count: int, share: float, context: DistributedContext
) -> Row:
    """What the journal says of samples of this step that could not be read, and were replaced; nothing in most steps.

    A micro-batch may be an error in place of a batch. Raises in every process what happened in any: an error that no
    other sample can make good, or more unread samples than `share` of all `count`.
    """
    errors = [(context.rank, batch) for batch in micro if isinstance(batch, SimcropError)]
    unread = [(context.rank, one) for batch in micro for one in getattr(batch, "unread", ())]
    if not context.any_rank(bool(errors or unread)):
        return {}
    errors, unread = context.all_gather(errors), context.all_gather(unread)
    if errors:
        rank, first = errors[0]
        raise AgreedError(first.reason, at_rank(rank, context.world, first.sentence))
    earlier.unread |= {one.id for _, one in unread}
    found, (rank, last) = len(earlier.unread), unread[-1]
    if found > share * count:
        raise AgreedError(
            last.error.reason,
            f"{at_rank(rank, context.world, last.error.sentence)}; {found} of {count} cannot be read, and "
            f"data.unreadable = {share:g} of them may be replaced by others",
        )
    return {"unread": {one.id: one.error.reason for _, one in unread}}
