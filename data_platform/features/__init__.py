"""The feature definitions of a ride-hailing platform: what `headrace apply` puts in force.

The demo copies this folder into the project that it leaves, so its modules name each other relatively.
"""

from .entities import cell, city, driver
from .on_demand import available, inspection
from .services import dispatch, lateness_model
from .sources import driver_documents, gps, rides
from .views import cell_demand, city_wait, driver_now, driver_papers, driver_rating, driver_wait

__all__ = [
    "available",
    "cell",
    "cell_demand",
    "city",
    "city_wait",
    "dispatch",
    "driver",
    "driver_documents",
    "driver_now",
    "driver_papers",
    "driver_rating",
    "driver_wait",
    "gps",
    "inspection",
    "lateness_model",
    "rides",
]
