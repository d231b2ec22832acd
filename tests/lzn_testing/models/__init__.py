"""Small models, trainings and networks with random weights."""
