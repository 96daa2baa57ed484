"""A benchmark in which only the relation of motion and surroundings tells abnormal from normal."""
