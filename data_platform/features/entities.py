"""What features are features of."""

import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
city = hr.Entity("city", keys={"city": hr.String})
cell = hr.Entity("cell", keys={"cell": hr.Int64}, description="One square kilometre; see grid.py.")
