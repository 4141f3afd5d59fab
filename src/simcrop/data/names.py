"""What the data sets are called in print, by the names of their layouts. No axes or units."""

NAMES = {
    "ct-rate": "CT-RATE",
    "rad-chestct": "RAD-ChestCT",
    "cc-ccii": "CC-CCII",
    "luna16": "LUNA16",
    "btcv": "BTCV",
}
