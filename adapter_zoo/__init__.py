"""The zoo: recipes that train the modules of the study, each with what it is expected to reach."""
