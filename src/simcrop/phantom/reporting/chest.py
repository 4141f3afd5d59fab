"""Sentences about all but the lungs, in the order of looking: airways, vessels, heart, gullet, nodes; belly, bones.

Text only, no axes; sizes in mm.
"""

from simcrop.phantom.reporting.wording import Slot

SEEN = "[seen|observed|detected|noted|found]"

MIDDLE_SLOTS = (
    Slot(
        "Medical material",
        (
            (
                "A port chamber lies under the skin of the {side} chest wall with its [line|catheter] in "
                "the superior vena cava."
            ),
            (
                "There is a [central venous|venous access] port on the {side} whose [catheter|line] "
                "reaches the superior vena cava."
            ),
            "A {side} sided chest port with a [venous|central venous] catheter is [present|in place|"
            + SEEN[1:-1]
            + "].",
            "[The chamber of a venous port|A port reservoir] is "
            + SEEN
            + " in the {side} [anterior|front] chest wall.",
        ),
    ),
    Slot(
        None,
        stock=(
            "The mediastinum can only be assessed in part because no contrast material was given.",
            (
                "[Mediastinal structures|Mediastinal soft tissues|The hila and the mediastinum] were "
                "[evaluated|assessed|judged] with [limits|restrictions] [in this unenhanced scan|without "
                "contrast material|as the examination is unenhanced]."
            ),
        ),
        share=0.45,
    ),
    Slot(
        None,
        stock=(
            "The trachea and both main bronchi are patent.",
            (
                "The lumen of the trachea and [of the|both|the] main bronchi is [free|open|clear|patent|"
                "unobstructed]."
            ),
            "The [central|large] airways are [open|patent|free] and [lie|run] in the midline.",
            (
                "[The air column of the trachea|The tracheal lumen] is [in the midline|central] and [both|"
                "the] main bronchi are [open|patent|free]."
            ),
        ),
    ),
    Slot(
        None,
        stock=(
            "No obstructing lesion is seen in the trachea or the main bronchi.",
            "No [endobronchial|intraluminal|occluding] [lesion|mass|pathology] [is|was] "
            + SEEN
            + " in the [airways|central airways|main bronchi].",
        ),
        share=0.35,
    ),
    Slot(
        "Arterial wall calcification",
        (
            "Calcified [plaques|spots] are [present|"
            + SEEN[1:-1]
            + "] along the wall of the thoracic aorta.",
            (
                "The [aortic arch and the descending aorta|thoracic aorta] [show|shows] calcification of "
                "[the|its] wall."
            ),
            "[Atherosclerotic|Mural|Atheromatous] calcifications [line the {place}|are "
            + SEEN
            + " on the {place}].",
            "[Chalky|Calcific] [atheroma|deposits|atheromatous deposits] [is|are] "
            + SEEN
            + " in the {place}.",
        ),
        stock=(
            "The great vessels of the mediastinum have a normal calibre.",
            (
                "The [thoracic aorta|aorta] and the [pulmonary arteries|pulmonary trunk|great veins] are "
                "of [normal|natural|usual|regular] [width|calibre|diameter]."
            ),
            (
                "[Calibres|Diameters|Widths] of the [mediastinal|great|main] vessels are [normal|natural|"
                "within normal limits|preserved]."
            ),
        ),
    ),
    Slot(
        "Cardiomegaly",
        (
            "The heart is [enlarged|clearly enlarged|larger than normal].",
            "The [heart size|cardiac size] is increased with a [raised|high|larger] cardiothoracic ratio.",
            "Cardiomegaly is " + SEEN + ".",
            "The [transverse diameter|width] of the heart is above normal limits.",
            "There is [cardiomegaly|enlargement of the heart|cardiac enlargement].",
        ),
        stock=(
            "The heart is of normal size and shape.",
            (
                "[Cardiac|Heart] size and [contour|contours|shape|outline] are [normal|natural|regular|"
                "within normal limits]."
            ),
            "The size of the heart [appears|is|was] [normal|natural|unremarkable].",
        ),
        negates=True,
    ),
    Slot(
        "Coronary artery wall calcification",
        (
            "There are calcified plaques in the coronary arteries.",
            "The coronary artery walls are [calcified|focally calcified|partly calcified].",
            "Coronary [artery calcifications|calcifications|calcification] [are|is] " + SEEN + ".",
            "[Calcific|Calcified] [foci|atheroma|deposits] [are|is] "
            + SEEN
            + " along the coronary arteries.",
        ),
        stock=("No coronary artery calcification is [seen|detected|observed].",),
        share=0.12,
        negates=True,
    ),
    Slot(
        "Pericardial effusion",
        (
            "A pericardial effusion of {size} mm surrounds the heart.",
            "There is fluid in the pericardial space with a depth of {size} mm.",
            "Pericardial fluid is " + SEEN + ", measuring {size} mm in thickness.",
            "[There is a|A] pericardial effusion [around the heart|surrounding the heart].",
            "[Free fluid|An effusion|Fluid] is " + SEEN + " in the pericardial [space|sac|cavity].",
            "The pericardium contains [an effusion|fluid|free fluid].",
        ),
        stock=(
            "No pericardial effusion was detected.",
            "[There is no|No] [effusion|fluid|free fluid] [in|within] the pericardial [space|sac|cavity].",
            "[Pericardial effusion|Fluid around the heart] [is|was] not [seen|observed|detected|noted].",
        ),
        negates=True,
    ),
    Slot(
        "Hiatal hernia",
        (
            "A hiatal hernia of {size} mm is " + SEEN + " behind the heart.",
            "Part of the stomach has passed through the hiatus and forms a hernia of {size} mm.",
            "There is a [sliding|sliding type] hiatal hernia.",
            "A [hiatus|hiatal] hernia [with gas inside|containing gas|with an air level] is " + SEEN + ".",
            "[Herniation|A herniated part] of the [stomach|gastric fundus] [through the hiatus|above the diaphragm] is "
            + SEEN
            + ".",
        ),
        stock=(
            "The esophagus has a normal course and wall.",
            (
                "No [wall thickening|mural thickening|thickening of the wall] of the [esophagus|thoracic "
                "esophagus] is [evident|seen|observed|detected]."
            ),
            (
                "[The thoracic esophagus|Esophageal calibre] is [normal|unremarkable|natural|regular] "
                "[without wall thickening|and its wall is not thickened|with a thin wall]."
            ),
        ),
    ),
    Slot(
        "Lymphadenopathy",
        (
            "An enlarged {place} lymph node with a short axis of {size} mm is [present|" + SEEN[1:-1] + "].",
            "There is {place} lymphadenopathy measuring {size} mm in short axis.",
            "[A pathologically enlarged|An enlarged|A pathological] {place} lymph node is " + SEEN + ".",
            "There is [enlargement of a|an enlarged] {place} lymph node.",
            "{place} lymphadenopathy is [present|" + SEEN[1:-1] + "].",
        ),
        stock=(
            "There are no enlarged mediastinal or hilar lymph nodes.",
            (
                "No [lymphadenopathy|enlarged lymph node|lymph node of pathological size] [is|was] [seen|"
                "found|observed|detected] in the [mediastinum|mediastinum or the hila|hilar and "
                "mediastinal stations]."
            ),
            (
                "[Mediastinal and hilar|Mediastinal, hilar and axillary|Mediastinal] lymph nodes [are not "
                "enlarged|have normal dimensions|do not reach pathological size|are within normal size]."
            ),
        ),
        negates=True,
    ),
    Slot(
        None,
        stock=(
            "The thyroid gland and the axillary regions are unremarkable.",
            (
                "No [enlarged|pathological|suspicious] [node|lymph node] is [seen|present|found|detected] "
                "in [the axillae|either axilla|both axillary regions]."
            ),
            "The [soft tissues|muscles] of the chest wall are [normal|natural|unremarkable|symmetric].",
        ),
        share=0.4,
    ),
)

LOWER_SLOTS = (
    Slot(
        None,
        stock=(
            "The upper abdominal organs that are included appear normal.",
            (
                "No [abnormality|pathology|pathological finding] is [seen|noted|observed|detected] in the "
                "[visible|included|scanned] part of the upper abdomen."
            ),
            (
                "[Upper abdominal|Abdominal] [organs|sections] [within|included in] the [scan|examination|"
                "field of view] are [normal|natural|unremarkable]."
            ),
        ),
    ),
    Slot(
        None,
        stock=(
            "No mass is seen in the part of the liver that is included.",
            (
                "The [included|visible|imaged] part of the liver [is|appears] [homogeneous|normal|free of "
                "focal lesions|unremarkable]."
            ),
            (
                "No [focal|space occupying] lesion [is|was] [seen|detected|found|noted] in the [liver|"
                "visible liver|liver dome]."
            ),
        ),
        share=0.6,
    ),
    Slot(
        None,
        stock=(
            "Both adrenal glands are of normal size.",
            (
                "The adrenal glands are [normal|slender|natural|unremarkable] on both sides [without a "
                "nodule|without a mass|and show no lesion]."
            ),
            (
                "No [mass|nodule|thickening] [is|was] [seen|detected|observed] in [either adrenal gland|"
                "the adrenal glands|the right or left adrenal gland]."
            ),
        ),
        share=0.6,
    ),
    Slot(
        None,
        stock=(
            "The spleen is of normal size.",
            (
                "The [spleen|splenic parenchyma] is [homogeneous|normal|unremarkable|natural] [in density|"
                "in size and density|where it is included]."
            ),
        ),
        share=0.25,
    ),
    Slot(
        None,
        stock=(
            "The bones within the field of view are intact.",
            (
                "No [lytic|destructive|lytic or destructive|sclerotic or lytic] bone lesion is [seen|noted|"
                "detected|found]."
            ),
            (
                "[Bone structures|Bony structures|The skeletal structures] in the [study area|field of "
                "view|examined region] are [natural|normal|unremarkable]."
            ),
        ),
    ),
    Slot(
        None,
        stock=(
            "Heights of the vertebral bodies are preserved.",
            (
                "[The vertebral bodies|Thoracic vertebrae] [keep|have|show] [their height|normal height|a "
                "normal height] and [alignment|a regular alignment|density]."
            ),
            (
                "No [fracture|compression fracture|loss of height] is [seen|observed|detected] in the "
                "[spine|thoracic spine|vertebral column]."
            ),
        ),
        share=0.55,
    ),
)
