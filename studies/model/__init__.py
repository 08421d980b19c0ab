"""A model of accuracy, learnt from the trainings of a study."""
