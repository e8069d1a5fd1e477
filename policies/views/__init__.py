"""The console's pages of policies, their coverage, graduation and calibrations."""
