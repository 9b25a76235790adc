"""The steward's pages. To whoever is no steward they are not there: every address answers as a missing one does."""
