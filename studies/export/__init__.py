"""One network of a study, chosen, trained, measured once on test, and written to a folder."""
