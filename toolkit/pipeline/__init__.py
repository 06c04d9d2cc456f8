"""The stages of an analysis as an explicit graph that resumes what is done and unchanged."""
