"""Impressions, complaints and techniques: the texts of a report around its Findings.

Text only, no axes; sizes in mm.
"""

IMPRESSIONS = {
    "Medical material": "Central venous port on the {side}.",
    "Arterial wall calcification": "Calcification of the thoracic aorta.",
    "Cardiomegaly": "Cardiomegaly.",
    "Pericardial effusion": "Pericardial effusion.",
    "Coronary artery wall calcification": "Coronary artery calcification.",
    "Hiatal hernia": "Hiatal hernia.",
    "Lymphadenopathy": "Enlarged {place} lymph node.",
    "Emphysema": "Emphysema in the {side} {lobe} lobe.",
    "Atelectasis": "Atelectasis in the {side} {lobe} lobe.",
    "Lung nodule": "Nodule in the {side} {lobe} lobe.",
    "Lung opacity": "Ground glass opacity in the {side} {lobe} lobe.",
    "Pulmonary fibrotic sequela": "Sequela changes in the {side} {lobe} lobe.",
    "Pleural effusion": "Pleural effusion on the {side}.",
    "Mosaic attenuation pattern": "Mosaic attenuation in the {side} {lobe} lobe.",
    "Peribronchial thickening": "Peribronchial thickening in the {side} {lobe} lobe.",
    "Consolidation": "Consolidation in the {side} {lobe} lobe.",
    "Bronchiectasis": "Bronchiectasis in the {side} {lobe} lobe.",
    "Interlobular septal thickening": "Interlobular septal thickening in the {side} {lobe} lobe.",
}
SEVERAL = {"Lung nodule": "{count} nodules in the {side} {lobe} lobe."}
BILATERAL = {
    "Emphysema": "Emphysema in both {lobe} lobes.",
    "Mosaic attenuation pattern": "Mosaic attenuation in both {lobe} lobes.",
    "Interlobular septal thickening": "Interlobular septal thickening in both {lobe} lobes.",
    "Peribronchial thickening": "Peribronchial thickening in both {lobe} lobes.",
    "Bronchiectasis": "Bronchiectasis in both {lobe} lobes.",
    "Pulmonary fibrotic sequela": "Sequela changes in both {lobe} lobes.",
    "Pleural effusion": "Bilateral pleural effusion.",
}
NORMAL_IMPRESSIONS = ("No pathology is found in the chest.", "Findings within normal limits.", "Not given.")
COMPLAINTS = ("Cough.", "Chest pain.", "Shortness of breath.", "Follow up.", "Not given.")
TECHNIQUES = (
    "Axial sections of the chest were taken without contrast material.",
    "Axial sections of the chest were taken after intravenous contrast material.",
)
