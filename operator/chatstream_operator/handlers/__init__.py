"""Wiring: watches, kopf, workers, HTTP; no decisions."""
