"""What stands around a table in words: what it is, how to read it, and who wins what, made from the results.

No axes; per cent and points.
"""

from collections.abc import Sequence

from simcrop.experiments.tables.budget import TableOrigin
from simcrop.experiments.tables.cells import BEST, FEWEST, Cell, JudgedColumn, lead_of
from simcrop.experiments.tables.rows import BEYOND
from simcrop.metrics import Interval

OURS, PLUS = "simcrop", "simcrop-plus"
TITLES = {
    "table1": "Table 1: linear probing, every method on one encoder",
    "table2": "Table 2: fine-tuned segmentation, every method on one encoder",
    "table3": "Table 3: SA, IL and WL switched on and off",
    "fig2": "Fig. 2: heads of CT-RATE asked about RAD-ChestCT, label by label",
    "fig3": "Fig. 3: K and the share of hidden words",
    "fig4": "Fig. 4: where sentences are seen",
}
SYNTHETIC = (
    "A controlled study on synthetic data: phantom chests drawn in the layouts of the data sets, small scans, a small "
    "encoder. These are not the paper's numbers, and no statement about patients; what can be compared are the rows of "
    "one column."
)
OWN_COHORTS = "On the cohorts that the command was given."
READING = (
    "Values are means over seeds, in per cent; brackets are 95 % intervals over test patients, drawn {draws} times, "
    "and seeds, by Student's t, together; a dash: all of those agree, as those of too few patients do. All rows of a "
    "column are judged by the same drawn patients, so that differences are paired. "
    "Bold is best, only where its lead over the next row is beyond chance (the 95 % interval of the paired difference "
    "is free of 0); underlined is second best, only behind such a best and with such a lead over the third. No mark: "
    "not told apart. One comparison in twenty comes out so by chance, and these are not corrected for their number."
)
ONE_SEED = (
    "One seed: brackets are over patients alone, how far a training lies from its repetition is in none of them, and "
    "no row is marked. Who is first here may be another with another seed."
)
METRICS = {
    "auroc": "AUROC is the mean over the labels that every row can be judged by",
    "accuracy": "accuracy is how often the most probable class is the true one",
    "dice": "Dice is the mean over organs of each one's mean over the scans that have it, on the scans' own grids",
}
PAPER = (
    "The paper's values stand in columns of their own, and differences are ours less the paper's. Theirs come from "
    "real scans at full size, so the difference says how far the two settings lie apart, not which is better."
)
LEFT_OPEN = (
    "What the paper leaves open. Without WL the decoder has f^I alone, one vector for all words; Eq. 5 and Fig. 1 give "
    "it no text, yet the row with IL alone must know the visible words from somewhere. Here the text features are "
    "added to f^I and f^W in every row (`fusion.text_residual`; false is Eq. 5 to the letter). Heads of the "
    "cross-attention (12 at full size) are not said either."
)
EXTENSION = (
    "The study of our own parts, with random init, MAE, controls and heat maps beside it, is `simcrop reproduce "
    "extension`: docs/results/extension.md."
)
WHY = (
    "Why a column may be lost. All wrong answers of Eq. 4 are sentences of the same report, and every sentence picks "
    "its own patches, so that a fixed map from place to sentence satisfies it without looking at the scan "
    "(docs/walkthrough.md): alignment as printed may add little that a probe could read."
)
REMEDY = "The row SimCroP + cross-image term has our remedy."
WHY_DICE = "Fine-tuning changes every weight, which leaves little of where an encoder started."


def caption_of(name: str, origin: TableOrigin, seeds: Sequence[int], columns: Sequence[JudgedColumn]) -> str:
    """What the table is, of whom, and made by which command where."""
    metrics = dict.fromkeys(of.column.metric for of in columns)
    words = "; ".join(METRICS[metric] for metric in metrics if metric in METRICS)
    seeds_words = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, seeds))})"
    parts = [
        SYNTHETIC if origin.phantoms else OWN_COHORTS,
        f"{words[:1].upper()}{words[1:]}." if words else "",
        f"Command: {origin.command}. Machine: {'; '.join(origin.machines)}. {seeds_words}.",
    ]
    if not metrics.keys() - {"none"}:
        parts[1] = f"{TITLES[name]}."
    return " ".join(part for part in parts if part)


def foot_of(columns: Sequence[JudgedColumn]) -> list[str]:
    """By column whom it was judged by, and what was left out."""
    lines = []
    for of in columns:
        if not of.scans:
            continue
        line = (
            f"{of.column.title}: {of.scans} test scans of {of.patients} patients, split {of.split_hash[:12]}"
        )
        if of.left_out:
            line += f"; left out, since not every row can be judged by them: {', '.join(of.left_out)}"
        if of.column.metric == "dice":
            line += f"; organs that a scan lacks are left out ({of.absent}); masks drawn there are counted in the JSON"
        if of.commonest is not None:
            line += f"; whoever calls every scan the most frequent class reaches {of.commonest:.1f}"
        lines.append(f"{line}.")
    return lines


def unranked_of(columns: Sequence[JudgedColumn]) -> list[str]:
    """Which rows have figures and are ranked nowhere, and why."""
    titles: dict[str, list[str]] = {}
    for of in columns:
        for cell in of.cells:
            if cell.unranked:
                titles.setdefault(of.column.title, []).append(cell.row.name)
    rows = dict.fromkeys(name for names in titles.values() for name in names)
    if not rows:
        return []
    return [
        f"Not ranked in {' and '.join(titles)}: {' and '.join(rows)}, whose encoders have learned from all labels."
    ]


def reasons_of(columns: Sequence[JudgedColumn]) -> list[str]:
    """Why cells are empty or lack seeds; of a data set that is not there, once."""
    whys: dict[str, dict[str, list[str]]] = {}
    for of in columns:
        for cell in of.cells:
            if cell.reason:
                rows = whys.setdefault(cell.reason, {}).setdefault(of.column.title, [])
                rows.append(cell.row.name)
    lines = []
    for why, by_title in whys.items():
        by_rows: dict[tuple[str, ...], list[str]] = {}
        for title, rows in by_title.items():
            by_rows.setdefault(tuple(rows), []).append(title)
        every = {of.column.title: len(of.cells) for of in columns}
        where = "; ".join(
            f"{', '.join(titles)}" + ("" if len(rows) == every[titles[0]] else f" ({', '.join(rows)})")
            for rows, titles in by_rows.items()
        )
        lines.append(f"Empty or incomplete: {where}: {why}.")
    return lines


def winners(columns: Sequence[JudgedColumn], ours: str = OURS) -> list[str]:
    """First in how many columns SimCroP is best beyond chance, then a sentence for each of the others."""
    asked = [of for of in columns if of.of(ours) is not None and len(of.ranked) > 1]
    if not asked:
        return []
    won = [of for of in asked if of.cells and own_mark(of, ours) == BEST]
    name = asked[0].of(ours)
    assert name is not None
    if all(lead.seeds < FEWEST for of in asked for lead in of.leads):
        return [ONE_SEED, *(sentence_of(of, ours) for of in asked)]
    what = f"{name.row.name} is best beyond chance in {len(won)} of {len(asked)} columns"
    titles = f": {', '.join(of.column.title for of in won)}." if won else "."
    lost = [sentence_of(of, ours) for of in asked if of not in won]
    return [what + titles, *lost]


def explanation(columns: Sequence[JudgedColumn], ours: str = OURS) -> list[str]:
    """What is known of why, where a column is not won."""
    lost = [of for of in columns if len(of.ranked) > 1 and of.of(ours) and own_mark(of, ours) != BEST]
    dice = [of for of in lost if of.column.metric == "dice"]
    remedy = any(cell.row.key == PLUS for of in lost for cell in of.cells)
    why = f"{WHY} {REMEDY}" if remedy else WHY
    return [why] * (len(lost) > len(dice)) + [WHY_DICE] * bool(dice)


def own_mark(of: JudgedColumn, ours: str) -> str:
    cell = of.of(ours)
    return cell.mark if cell else ""


def sentence_of(of: JudgedColumn, ours: str) -> str:
    """Of a column that SimCroP does not win: who is first, by how much, and whether that is beyond chance; and where it
    stands among the paper's methods, if one beyond the paper is first.
    """
    ranked = of.ranked
    cell = next(cell for cell in ranked if cell.row.key == ours)
    others = [other for other in ranked if other is not cell]
    first, level = others[0], level_words(cell, others)
    if cell.place == 1:
        lead = level or ahead(cell, first)
        return f"{of.column.title}: {cell.row.name} is first, {lead}."
    words = (
        f"{of.column.title}: {cell.row.name} does not win; {first.row.name} is first, {ahead(first, cell)}. It is "
        f"{cell.place} of {len(ranked)}{f', {level}' if level else ''}"
    )
    papers = [other for other in others if other.row.group != BEYOND]
    if first.row.group != BEYOND or not papers:
        return f"{words}."
    better = [other for other in papers if other.place < cell.place]
    within = f"{words}; among the paper's methods {len(better) + 1} of {len(papers) + 1}"
    if better:
        return f"{within}, behind {better[0].row.name}, which is {ahead(better[0], cell)}."
    return f"{within}, {level_words(cell, papers) or ahead(cell, papers[0])}."


def level_words(cell: Cell, others: Sequence[Cell]) -> str:
    """With whom it shares its place: `level with MAE`, `level with 3 other rows`, or nobody."""
    level = [other.row.name for other in others if other.place == cell.place]
    if len(level) > 2:
        return f"level with {'all' if len(level) == len(others) else len(level)} other rows"
    return f"level with {' and '.join(level)}" if level else ""


def ahead(first: Cell, second: Cell) -> str:
    """`1.2 points [0.4, 2.1] ahead of MAE, beyond chance`."""
    assert first.reached is not None
    assert second.reached is not None
    lead = lead_of(first.row, first.reached, second.row, second.reached)
    beyond = "beyond chance" if lead.beyond_chance else "not beyond chance"
    beyond = beyond if lead.seeds >= FEWEST else "by one seed"
    return f"{points(lead.over)} ahead of {second.row.name}, {beyond}"


def points(over: Interval) -> str:
    """`1.2 points [0.4, 2.1]`."""
    return f"{over.value:.1f} points [{over.low:.1f}, {over.high:.1f}]".replace("-", "−")
