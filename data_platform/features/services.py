"""What each model or caller asks for, in order."""

import headrace as hr

from .on_demand import available, inspection
from .views import cell_demand, city_wait, driver_now, driver_rating, driver_wait

lateness_model = hr.FeatureService(
    "lateness_model",
    features=[driver_now["speed_mean_5m"], city_wait, driver_rating, driver_wait],
    description="Will the rider wait over seven minutes, or cancel? Asked at the request, of the driver offered.",
    owner="eta@example.com",
)

dispatch = hr.FeatureService(
    "dispatch",
    features=[
        available,
        inspection,
        driver_rating["rating_mean"],
        cell_demand.alias("pickup", {"cell": "pickup_cell"}),
    ],
    description="Who may be offered a ride, and how busy it is around the rider.",
    owner="dispatch@example.com",
)
