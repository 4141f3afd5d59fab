"""The sentences of a phantom report: one slot per thing a radiologist looks at, in the order of looking.

Wordings may name `{side}`, `{lobe}`, `{size}` (mm) and `{place}`. No wording holds a full stop but its last.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """`found` when the finding `kind` is there; otherwise, in `share` of the reports, a stock sentence.

    `negates` says that the stock sentence denies the finding; the first stock wording is by far the commonest.
    """

    kind: str | None
    found: tuple[str, ...]
    stock: tuple[str, ...]
    share: float = 1.0
    negates: bool = True
    in_lungs: bool = False


SLOTS = (
    Slot(
        "Medical material",
        (
            "A port chamber lies under the skin of the {side} chest wall with its line in the superior vena cava.",
            "There is a central venous port on the {side} whose catheter reaches the superior vena cava.",
            "A {side} sided chest port with a venous catheter is present.",
        ),
        (),
        share=0.0,
    ),
    Slot(
        None,
        (),
        (
            "The trachea and both main bronchi are patent.",
            "The lumen of the trachea and main bronchi is free.",
            "The central airways are open and lie in the midline.",
        ),
        negates=False,
    ),
    Slot(
        "Arterial wall calcification",
        (
            "Calcified plaques are present along the wall of the thoracic aorta.",
            "The aortic arch and descending aorta show calcification of their wall.",
            "Atherosclerotic calcifications line the {place}.",
        ),
        (
            "The great vessels of the mediastinum have a normal calibre.",
            "The thoracic aorta and the pulmonary arteries are of normal width.",
        ),
        share=0.85,
        negates=False,
    ),
    Slot(
        "Cardiomegaly",
        (
            "The heart is enlarged.",
            "The heart size is increased with a raised cardiothoracic ratio.",
            "Cardiomegaly is seen.",
            "The transverse diameter of the heart is above normal limits.",
        ),
        ("The heart is of normal size and shape.", "Cardiac size and contour are normal."),
    ),
    Slot(
        "Coronary artery wall calcification",
        (
            "There are calcified plaques in the coronary arteries.",
            "The coronary artery walls are calcified.",
            "Coronary calcifications are noted.",
        ),
        (),
        share=0.0,
    ),
    Slot(
        "Pericardial effusion",
        (
            "A pericardial effusion of {size} mm surrounds the heart.",
            "There is fluid in the pericardial space with a depth of {size} mm.",
            "Pericardial fluid is seen, measuring {size} mm in thickness.",
        ),
        ("No pericardial effusion is seen.", "There is no fluid in the pericardial space."),
    ),
    Slot(
        "Hiatal hernia",
        (
            "A hiatal hernia of {size} mm is seen behind the heart.",
            "Part of the stomach has passed through the hiatus and forms a hernia of {size} mm.",
            "There is a sliding hiatal hernia measuring {size} mm.",
        ),
        ("The esophagus has a normal course and wall.", "No wall thickening of the esophagus is evident."),
        share=0.8,
        negates=False,
    ),
    Slot(
        "Lymphadenopathy",
        (
            "An enlarged {place} lymph node of {size} mm is present.",
            "There is {place} lymphadenopathy measuring {size} mm.",
            "A pathologically enlarged lymph node with a size of {size} mm is seen at the {place} station.",
        ),
        (
            "There are no enlarged mediastinal or hilar lymph nodes.",
            "No lymphadenopathy is found in the mediastinum.",
        ),
    ),
    Slot(
        "Emphysema",
        (
            "Emphysematous changes are seen in the upper lobes of both lungs.",
            "Both upper lobes contain areas of emphysema.",
            "There is bilateral emphysema that is most marked in the upper lobes.",
        ),
        ("No emphysema is seen.",),
        share=0.2,
        in_lungs=True,
    ),
    Slot(
        "Consolidation",
        (
            "There is a consolidation of {size} mm in the {lobe} lobe of the {side} lung.",
            "The {side} {lobe} lobe contains an area of consolidation measuring {size} mm.",
            "A dense consolidated area of {size} mm is observed in the {side} {lobe} lobe.",
            "Consolidation is present in the {lobe} lobe on the {side}.",
        ),
        ("There is no consolidation in either lung.", "No consolidated area is detected."),
        share=0.4,
        in_lungs=True,
    ),
    Slot(
        "Lung opacity",
        (
            "A ground glass opacity of {size} mm is seen in the {lobe} lobe of the {side} lung.",
            "There is ground glass density in the {side} {lobe} lobe.",
            "The {lobe} lobe on the {side} shows a hazy opacity with a diameter of {size} mm.",
            "A faint ground glass area is observed in the {side} {lobe} lobe.",
        ),
        (),
        share=0.0,
        in_lungs=True,
    ),
    Slot(
        "Lung nodule",
        (
            "A solid nodule of {size} mm is seen in the {lobe} lobe of the {side} lung.",
            "There is a nodule in the {side} {lobe} lobe with a size of {size} mm.",
            "The {lobe} lobe on the {side} contains a round nodule measuring {size} mm.",
            "A pulmonary nodule with a diameter of {size} mm is observed in the {side} {lobe} lobe.",
        ),
        ("No nodule or mass is seen in the lungs.", "There is no pulmonary nodule."),
        share=0.5,
        in_lungs=True,
    ),
    Slot(
        "Atelectasis",
        (
            "Band atelectasis is seen in the {lobe} lobe of the {side} lung.",
            "There is a linear atelectatic band in the {side} {lobe} lobe.",
            "The {side} {lobe} lobe shows plate like atelectasis.",
        ),
        (),
        share=0.0,
        in_lungs=True,
    ),
    Slot(
        "Pleural effusion",
        (
            "There is a pleural effusion on the {side} with a depth of {size} mm.",
            "A {side} sided pleural effusion measuring {size} mm is present.",
            "Fluid is seen in the {side} pleural space and reaches a thickness of {size} mm.",
            "The {side} pleural cavity contains free fluid of {size} mm.",
        ),
        ("No pleural effusion is seen.", "There is no fluid in the pleural spaces."),
    ),
    Slot(
        None,
        (),
        (
            "The upper abdominal organs that are included appear normal.",
            "No abnormality is seen in the visible part of the upper abdomen.",
        ),
        negates=False,
    ),
    Slot(
        None,
        (),
        (
            "The bones within the field of view are intact.",
            "No lytic or destructive bone lesion is seen.",
            "Bone structures in the study area are natural.",
        ),
        negates=False,
    ),
)

CLEAR_LUNGS = (
    "Both lungs are normally aerated without any infiltrate.",
    "The lung parenchyma is clear on both sides.",
)

IMPRESSIONS = {
    "Medical material": "Central venous port on the {side}.",
    "Arterial wall calcification": "Calcification of the thoracic aorta.",
    "Cardiomegaly": "Cardiomegaly.",
    "Coronary artery wall calcification": "Coronary artery calcification.",
    "Pericardial effusion": "Pericardial effusion.",
    "Hiatal hernia": "Hiatal hernia.",
    "Lymphadenopathy": "Enlarged {place} lymph node.",
    "Emphysema": "Emphysema of both upper lobes.",
    "Consolidation": "Consolidation in the {side} {lobe} lobe.",
    "Lung opacity": "Ground glass opacity in the {side} {lobe} lobe.",
    "Lung nodule": "Nodule of {size} mm in the {side} {lobe} lobe.",
    "Atelectasis": "Atelectasis in the {side} {lobe} lobe.",
    "Pleural effusion": "Pleural effusion on the {side}.",
}
NORMAL_IMPRESSIONS = ("No pathology is found in the chest.", "Findings within normal limits.", "Not given.")
COMPLAINTS = ("Cough.", "Chest pain.", "Shortness of breath.", "Follow up.", "Not given.")
TECHNIQUES = (
    "Axial sections of the chest were taken without contrast material.",
    "Axial sections of the chest were taken after intravenous contrast material.",
)
