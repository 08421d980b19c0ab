"""Networks of group convolutions: IGC, IGCV2, IGCV3, deep roots, and those beside them."""
