"""Detectors: what a pattern alone cannot tell, because a date, a place code or the words around it decide. Pure."""

from monitor.rules.detectors.detector import Detector
from monitor.rules.detectors.registry import DETECTORS, detectors

__all__ = ["DETECTORS", "Detector", "detectors"]
