"""A seeded ride-hailing platform: landing files with faults, and the truth to check them against."""

from data_platform.simulator.city import City
from data_platform.simulator.faults import FaultShares
from data_platform.simulator.landing import Landing
from data_platform.simulator.writing import Written

__all__ = ["City", "FaultShares", "Landing", "Written"]
