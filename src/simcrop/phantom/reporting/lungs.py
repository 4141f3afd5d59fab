"""Sentences about the lungs and the pleura, in the order of looking.

Text only, no axes; sizes in mm.
"""

from simcrop.phantom.reporting.wording import Slot

SEEN = "[seen|observed|detected|noted|present]"
WHERE = "[the {side} {lobe} lobe|the {lobe} lobe of the {side} lung|the {lobe} lobe on the {side}]"
BOTH = "[the {lobe} lobes of both lungs|both {lobe} lobes|the {lobe} lobes on both sides]"

LUNG_SLOTS = (
    Slot(
        "Emphysema",
        (
            f"Emphysematous [changes|areas] are {SEEN} in {WHERE}.",
            "The {side} {lobe} lobe contains [areas of emphysema|emphysematous air spaces|emphysema].",
            f"[There is|There are signs of] emphysema in {WHERE}.",
            f"Emphysema is {SEEN} in {WHERE}.",
        ),
        both=(
            f"Emphysematous [changes|areas] are {SEEN} in {BOTH}.",
            "Both {lobe} lobes contain [areas of emphysema|emphysematous air spaces].",
            f"There is [bilateral|mild bilateral] emphysema in {BOTH}.",
        ),
        stock=(
            "No emphysema is [seen|observed].",
            "There is no [emphysema|emphysematous change] in the lungs.",
        ),
        share=0.15,
        negates=True,
    ),
    Slot(
        "Mosaic attenuation pattern",
        (
            f"A mosaic [attenuation|pattern of attenuation] is {SEEN} in {WHERE}.",
            "The {side} {lobe} lobe [shows|has] a mosaic [pattern|attenuation pattern|density pattern].",
            f"There is mosaic attenuation [with areas of lower density|with patchy lucent areas] in {WHERE}.",
        ),
        both=(
            f"A mosaic [attenuation|pattern of attenuation] is {SEEN} in {BOTH}.",
            "Both {lobe} lobes [show|have] a mosaic [pattern|attenuation pattern].",
        ),
    ),
    Slot(
        "Interlobular septal thickening",
        (
            f"Interlobular septal thickening is {SEEN} in {WHERE}.",
            "The interlobular septa of the {side} {lobe} lobe are [thickened|prominent and thickened].",
            f"There is [smooth|reticular] thickening of the interlobular septa in {WHERE}.",
        ),
        both=(
            f"Interlobular septal thickening is {SEEN} in {BOTH}.",
            "The interlobular septa of both {lobe} lobes are [thickened|prominent and thickened].",
        ),
    ),
    Slot(
        "Consolidation",
        (
            f"There is [a consolidation|consolidation|an area of consolidation] in {WHERE}.",
            f"[An area of dense consolidation|A consolidation|Dense consolidation] is {SEEN} in {WHERE}.",
            (
                "The {side} {lobe} lobe [shows|contains|has] [airspace consolidation|a consolidated area|"
                "an area of consolidation]."
            ),
            f"A consolidation of about {{size}} mm is {SEEN} in {WHERE}.",
            "The {side} {lobe} lobe contains a consolidated area of {size} mm.",
            f"Airspace consolidation measuring {{size}} mm is {SEEN} in {WHERE}.",
        ),
        stock=(
            "No consolidation is [seen|detected].",
            "There is no [consolidation|consolidated area] in the lungs.",
        ),
        share=0.15,
        negates=True,
    ),
    Slot(
        "Lung opacity",
        (
            (
                f"[A ground glass opacity|Ground glass density|An area of ground glass density] is {SEEN} "
                f"in {WHERE}."
            ),
            (
                "The {side} {lobe} lobe [shows|contains|has] [a hazy opacity|ground glass opacity|a veil "
                "like opacity]."
            ),
            f"There is [hazy|ground glass|faint ground glass] opacity in {WHERE}.",
            f"A ground glass opacity of {{size}} mm is {SEEN} in {WHERE}.",
            "The {side} {lobe} lobe contains a hazy opacity measuring {size} mm.",
            f"There is an area of ground glass density of about {{size}} mm in {WHERE}.",
        ),
        stock=(
            "No ground glass opacity is [seen|detected].",
            "There is no ground glass [opacity|density] in the lungs.",
        ),
        share=0.12,
        negates=True,
    ),
    Slot(
        "Peribronchial thickening",
        (
            f"Peribronchial thickening is {SEEN} in {WHERE}.",
            "The bronchial walls of the {side} {lobe} lobe are [thickened|clearly thickened].",
            f"There is [thickening|sleeve like thickening] around the bronchi in {WHERE}.",
        ),
        both=(
            f"Peribronchial thickening is {SEEN} in {BOTH}.",
            "The bronchial walls of both {lobe} lobes are [thickened|clearly thickened].",
        ),
    ),
    Slot(
        "Bronchiectasis",
        (
            f"[Bronchiectasis is|Bronchiectatic changes are] {SEEN} in {WHERE}.",
            "The bronchi of the {side} {lobe} lobe are [dilated|widened|wider than normal].",
            f"There [is bronchial dilatation|are dilated bronchi|are ectatic bronchi] in {WHERE}.",
        ),
        both=(
            f"[Bronchiectasis is|Bronchiectatic changes are] {SEEN} in {BOTH}.",
            "The bronchi of both {lobe} lobes are [dilated|widened].",
        ),
        stock=("No bronchiectasis is [seen|detected].", "The bronchi are not [dilated|widened]."),
        share=0.06,
        negates=True,
    ),
    Slot(
        "Pulmonary fibrotic sequela",
        (
            f"[Fibrotic|Linear fibrotic] sequelae are {SEEN} in {WHERE}.",
            (
                "The {side} {lobe} lobe [shows|contains|has] [scar tissue|fibrotic bands|sequela fibrotic "
                "changes]."
            ),
            f"There are [scars|sequela changes|fibrotic streaks] in {WHERE}.",
        ),
        both=(
            f"[Fibrotic|Linear fibrotic] sequelae are {SEEN} in {BOTH}.",
            "Both {lobe} lobes [show|contain] [scar tissue|fibrotic bands|sequela fibrotic changes].",
        ),
    ),
    Slot(
        "Atelectasis",
        (
            f"[Band|Linear|Plate like] atelectasis is {SEEN} in {WHERE}.",
            f"There is [a linear atelectatic band|atelectasis|a band of atelectasis] in {WHERE}.",
            (
                "The {side} {lobe} lobe [shows|contains|has] [plate like atelectasis|atelectatic change|"
                "linear atelectasis]."
            ),
        ),
        stock=("No atelectasis is [seen|detected].", "There is no [atelectasis|collapse] of lung tissue."),
        share=0.08,
        negates=True,
    ),
    Slot(
        "Lung nodule",
        (
            f"A [nodule|{{place}} nodule|round {{place}} nodule] is {SEEN} in {WHERE}.",
            "The {side} {lobe} lobe [contains|shows] [a pulmonary nodule|a {place} nodule|a round nodule].",
            f"There is [a|one] {{place}} nodule in {WHERE}.",
            f"A {{place}} nodule of {{size}} mm is {SEEN} in {WHERE}.",
            f"There is a nodule in {WHERE} with a [size|diameter] of {{size}} mm.",
            "The {side} {lobe} lobe contains a round {place} nodule measuring {size} mm.",
        ),
        several=(
            f"{{count}} {{place}} nodules are {SEEN} in {WHERE}.",
            f"There are {{count}} [nodules|pulmonary nodules] in {WHERE}.",
            f"{{count}} nodules are {SEEN} in {WHERE}, the largest of which measures {{size}} mm.",
            "The {side} {lobe} lobe contains {count} {place} nodules of up to {size} mm.",
        ),
        stock=(
            "No nodule or mass is seen in the lungs.",
            "There is no [pulmonary nodule|nodule|mass or nodule] in [either lung|the lungs].",
        ),
        share=0.3,
        negates=True,
    ),
)

PLEURA_SLOTS = (
    Slot(
        "Pleural effusion",
        (
            "There is a [pleural effusion|free pleural effusion] on the {side}.",
            f"A {{side}} sided pleural effusion is {SEEN}.",
            f"[Fluid|Free fluid|An effusion] is {SEEN} in the {{side}} pleural [space|cavity].",
            "There is a pleural effusion on the {side} with a depth of {size} mm.",
            f"A {{side}} sided pleural effusion measuring {{size}} mm is {SEEN}.",
            "The {side} pleural cavity contains free fluid of {size} mm.",
        ),
        both=(
            f"[Bilateral pleural effusion is|Bilateral pleural effusions are] {SEEN}.",
            "There is [pleural effusion|free fluid] [on both sides|in both pleural spaces].",
            f"Bilateral pleural effusion with a depth of up to {{size}} mm is {SEEN}.",
        ),
        stock=(
            "No pleural effusion was detected.",
            (
                "[There is no|No] [fluid|effusion|free fluid] [in|within] [the pleural spaces|either "
                "pleural space|the pleural cavities]."
            ),
            (
                "[Pleural effusion|Pleural fluid] [is|was] not [seen|observed|noted|detected] [on either "
                "side|in either hemithorax]."
            ),
        ),
        negates=True,
    ),
    Slot(
        None,
        stock=(
            "No pneumothorax is seen.",
            (
                "There is no [pneumothorax|air in the pleural spaces|free pleural air] on [either side|the "
                "right or the left]."
            ),
        ),
        share=0.3,
    ),
)

CLEAR_LUNGS = (
    "Both lungs are normally aerated without any infiltrate.",
    "The lung parenchyma is [clear|normal|normally aerated] [on both sides|in all lobes|throughout].",
    (
        "[Aeration|Ventilation] of [both lungs|the lungs|both lung fields] is [normal|natural|regular] and "
        "[no infiltrate is seen|no lesion is found|there is no infiltrate]."
    ),
)
